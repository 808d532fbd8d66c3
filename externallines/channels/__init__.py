"""The messengers we bridge: one file each, listed here."""

from externallines.channels.base import Channel
from externallines.channels.telegram import Telegram
from externallines.channels.viber import Viber
from externallines.channels.webhook import Webhook

CHANNELS: dict[str, type[Channel]] = {channel.slug: channel for channel in (Webhook, Telegram, Viber)}

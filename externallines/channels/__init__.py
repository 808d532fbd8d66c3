"""The messengers we bridge: one file each, listed here."""

from externallines.channels.base import Channel
from externallines.channels.facebook import Facebook
from externallines.channels.instagram import Instagram
from externallines.channels.telegram import Telegram
from externallines.channels.viber import Viber
from externallines.channels.webhook import Webhook
from externallines.channels.whatsapp import WhatsApp

CHANNELS: dict[str, type[Channel]] = {
    channel.slug: channel for channel in (Webhook, Telegram, Viber, WhatsApp, Facebook, Instagram)
}

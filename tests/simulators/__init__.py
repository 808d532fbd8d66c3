"""A stand-in for everything outside the app: Uspacy, Amazon SNS and the messengers.

It is strict: whatever breaks the wire contract is refused and written to ``world.breaches``. Tests, the demo
and the benchmarks serve the same `World` object over real HTTP; README.md in this folder shows how.
"""

from tests.simulators.messengers import Customer, Message, Messenger
from tests.simulators.partner import Partner
from tests.simulators.server import serve
from tests.simulators.telegram import TelegramBot
from tests.simulators.uspacy import Portal
from tests.simulators.world import World

__all__ = ["Customer", "Message", "Messenger", "Partner", "Portal", "TelegramBot", "World", "serve"]

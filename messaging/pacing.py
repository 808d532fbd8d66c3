"""How much a messenger takes from one account and within one chat: budgets that all processes share.

A delivery without budget is postponed, so that the messenger need not refuse it. Correctness does not depend
on it: without Redis everything goes out at once, and the messenger's own refusals slow us down.
"""

import math
import random
import threading
import time
from functools import cache

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.retry import Retry

from externallines.channels import CHANNELS
from messaging.models import Delivery

log = structlog.get_logger(__name__)

REDIS_SECONDS = 0.05  # a budget is not worth waiting longer for
AWAY_SECONDS = 5.0  # then an unreachable Redis is asked again
LONGEST_WAIT = 60.0  # seconds

# KEYS: the account's pause, then buckets; ARGV: interval and burst of each, the longest wait (milliseconds).
# `full` is when a bucket will be full again. Who finds it empty gets a place of their own in the queue, `slot`,
# so that a thousand waiting chats come back one after the other.
TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
local paused = redis.call('PTTL', KEYS[1])
if paused > 0 then return paused end
local wait = 0
for i = 2, #KEYS do
  local interval, burst = tonumber(ARGV[i * 2 - 3]), tonumber(ARGV[i * 2 - 2])
  local state = redis.call('HMGET', KEYS[i], 'full', 'slot')
  local free = math.max(tonumber(state[1]) or 0, now) + interval * (1 - burst)
  if free > now then
    local longest = tonumber(ARGV[#ARGV])
    local slot = math.max(tonumber(state[2]) or 0, free)
    if slot - now > longest then slot = free end
    redis.call('HSET', KEYS[i], 'slot', slot + interval)
    redis.call('PEXPIRE', KEYS[i], math.ceil(interval * burst + longest))
    wait = math.max(wait, slot - now)
  end
end
if wait > 0 then return math.ceil(wait) end
for i = 2, #KEYS do
  local interval, burst = tonumber(ARGV[i * 2 - 3]), tonumber(ARGV[i * 2 - 2])
  local full = math.max(tonumber(redis.call('HGET', KEYS[i], 'full')) or 0, now) + interval
  redis.call('HSET', KEYS[i], 'full', full)
  redis.call('PEXPIRE', KEYS[i], math.ceil(interval * burst + tonumber(ARGV[#ARGV])))
end
return 0
"""
# A pause only ever gets longer.
PAUSE = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], '', 'PX', ARGV[1]) end
"""


class _Local:
    """What this process knows by itself: which accounts pause, and whether Redis is away."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}
        self._away_until = 0.0

    def pause(self, account: str, seconds: float) -> None:
        now = time.monotonic()
        with self._lock:
            self._until = {name: until for name, until in self._until.items() if until > now}
            self._until[account] = max(now + seconds, self._until.get(account, 0.0))

    def paused_for(self, account: str) -> float:
        return max(0.0, self._until.get(account, 0.0) - time.monotonic())

    def ask(self, script: str, keys: list[str], arguments: list[float]) -> float:
        """Run a script and return its milliseconds in seconds; 0 if Redis does not answer at once."""
        if time.monotonic() < self._away_until:
            return 0.0
        try:
            return float(_script(script)(keys=keys, args=arguments) or 0) / 1000
        except redis.RedisError as exc:
            self._away_until = time.monotonic() + AWAY_SECONDS
            log.warning("pacing_without_redis", reason=type(exc).__name__)
            return 0.0


_local = _Local()


def delay(delivery: Delivery) -> float:
    """Take what a delivery needs of its budgets and return 0, or the seconds until its own next chance."""
    if delivery.to_uspacy:
        return 0.0
    account = _account(delivery)
    if paused := _local.paused_for(account):
        return paused * random.uniform(1.0, 1.1)  # noqa: S311  no secret; not all at once
    channel = CHANNELS[delivery.chat.line.channel]
    keys, arguments = [f"{account} paused"], []
    for name, rate in ((account, channel.account_rate), (f"{account} {delivery.chat_id}", channel.chat_rate)):
        if rate is not None:
            keys.append(name)
            arguments += [1000 / rate.per_second, rate.burst]
    return _local.ask(TAKE, keys, [*arguments, LONGEST_WAIT * 1000]) * random.uniform(1.0, 1.1)  # noqa: S311


def pause(delivery: Delivery, seconds: float) -> None:
    """Let nothing more go out through the account of a delivery for so long, from whatever process."""
    account = _account(delivery)
    _local.pause(account, seconds)
    _local.ask(PAUSE, [f"{account} paused"], [math.ceil(seconds * 1000)])
    log.warning("account_paused", line_id=delivery.chat.line_id, seconds=round(seconds, 1))


def reset() -> None:
    """Forget the pauses of this process, between two tests."""
    _local.__init__()  # type: ignore[misc]


def _account(delivery: Delivery) -> str:
    line = delivery.chat.line
    return f"pace {line.channel} {line.external_id}"


@cache
def _script(text: str) -> Script:
    return _redis().register_script(text)


@cache
def _redis() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=REDIS_SECONDS,
        socket_connect_timeout=REDIS_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )

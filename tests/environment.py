"""The environment of the tests: the development values of `.env.example`, unless a real variable is set.

Every process of a test run has a broker of its own, so that neither two of them nor two runs meet.
"""

import os
from pathlib import Path

import environ

environ.Env.read_env(Path(__file__).resolve().parent.parent / ".env.example")

from config import embedded  # noqa: E402  its servers stop with this process
from tests.stack import claim_number, fresh_broker  # noqa: E402

_number, _claim = claim_number()
os.environ["REDIS_URL"] = fresh_broker(os.environ.get("REDIS_URL") or embedded.valkey_url(), _number)

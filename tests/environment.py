"""The environment of the tests: the development values of `.env.example`, unless a real variable is set."""

from pathlib import Path

import environ

environ.Env.read_env(Path(__file__).resolve().parent.parent / ".env.example")

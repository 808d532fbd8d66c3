"""The app as production starts it: a process of its own, with nothing but the required variables."""

import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent

REQUIRED = {
    "SECRET_KEY": "$ecret-key-of-the-tests-9#fT2-kq8Zw4LmV7xRb1Ns6Yp3Hc0Jd5",
    "PUBLIC_URL": "https://lines.example.com",
    "DATABASE_URL": "postgresql://uspacy:uspacy@127.0.0.1:1/uspacy",  # nobody listens there
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "FIELD_ENCRYPTION_KEYS": "throw-away-key-of-the-tests-0123456789-0000=",
    "USPACY_APP_CODE": "app",
    "USPACY_CLIENT_ID": "app",
    "USPACY_CLIENT_SECRET": "$hrow-away-client-secret-of-the-tests",
}


def environment(**changed: str) -> dict[str, str]:
    """Production's variables and these."""
    return {"PATH": os.environ["PATH"], "ALLOWED_HOSTS": "lines.example.com"} | REQUIRED | changed


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these variables and arguments, and wait for its end."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

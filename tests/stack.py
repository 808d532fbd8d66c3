"""The whole product as real processes: what the Procfile says, on a database of its own.

Used by the demo, the end-to-end tests and the benchmarks.
"""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit, urlunsplit

import environ
import psycopg
import redis
import requests

from tests.simulators import World, serve

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 60.0
STOP_SECONDS = 30.0


class Stack:
    """Processes of the product around one simulated world.

    `name` names the database (made anew), the log folder and nothing else; two stacks do not meet.
    """

    def __init__(self, name: str, *, broker_db: int, web_port: int = 0, **env: str) -> None:
        from config import embedded

        self.name = name
        self.logs = ROOT / ".local" / "log" / name
        self.logs.mkdir(parents=True, exist_ok=True)
        self.port = free_port(web_port)
        self.url = f"http://127.0.0.1:{self.port}"
        self.database_url = fresh_database(os.environ.get("DATABASE_URL") or embedded.postgres_url(), name)
        self.redis_url = fresh_broker(os.environ.get("REDIS_URL") or embedded.valkey_url(), broker_db)
        self.commands = read_procfile()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.env = {
            **os.environ,
            **development_environment(),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "PUBLIC_URL": self.url,
            "PORT": str(self.port),
            "WORKER_THREADS": "16",
            **env,
        }
        self.world = World(
            self.url, client_id=self.env["USPACY_CLIENT_ID"], client_secret=self.env["USPACY_CLIENT_SECRET"]
        )

    @contextmanager
    def running(self, *, simulator_port: int = 0) -> Iterator["Stack"]:
        """Serve the world, migrate, start web, worker and beat; stop everything at the end."""
        with serve(self.world, port=simulator_port) as world_url:
            self.env["USPACY_API_URL"] = f"{world_url}/uspacy/{{domain}}"
            self.env["SNS_TOPIC_ARNS"] = self.world.sns.topic_arn
            try:
                self.run("release")
                for name in ("web", "worker", "beat"):
                    self.start(name)
                self.wait_until_live()
                yield self
            finally:
                self.stop_all()

    def start(self, process: str, *, as_name: str = "") -> None:
        """Start a process of the Procfile, under a name of its own if there are several of a kind."""
        name = as_name or process
        log = (self.logs / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            ["/bin/sh", "-c", self.commands[process]],
            cwd=ROOT,
            env=self.env,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, process: str) -> None:
        """Run a process of the Procfile to its end. Raises RuntimeError with its output if it fails."""
        done = subprocess.run(
            ["/bin/sh", "-c", self.commands[process]], cwd=ROOT, env=self.env, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"{process} failed:\n{done.stdout}{done.stderr}")

    def manage(self, *arguments: str, **env: str) -> str:
        """Return what a management command prints. Raises CalledProcessError."""
        done = subprocess.run(
            [str(ROOT / ".venv/bin/python"), "manage.py", *arguments],
            cwd=ROOT,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def stop(self, name: str, *, with_signal: signal.Signals = signal.SIGTERM) -> None:
        """Stop a process and all its children, and wait until it has ended."""
        process = self.processes.pop(name)
        kill_group(process, with_signal)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            kill_group(process, signal.SIGKILL)
            process.wait()

    def kill(self, name: str) -> None:
        self.stop(name, with_signal=signal.SIGKILL)

    def stop_all(self) -> None:
        for process in self.processes.values():
            kill_group(process, signal.SIGTERM)
        for name in list(self.processes):
            self.stop(name)

    def wait_until_live(self) -> None:
        """Wait until web answers and beat and worker have been seen. Raises RuntimeError with the logs' ends."""
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            if any(process.poll() is not None for process in self.processes.values()):
                break
            try:
                if requests.get(f"{self.url}/health/ready", timeout=5).ok:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.2)
        raise RuntimeError(f"{self.name} did not start; see {self.logs}\n{self.last_lines()}")

    def last_lines(self) -> str:
        logs = sorted(self.logs.glob("*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-2000:]}" for log in logs)


def development_environment() -> dict[str, str]:
    """Return the variables of .env.example."""

    class Collected(environ.Env):
        ENVIRON: ClassVar[dict[str, str]] = {}

    Collected.read_env(str(ROOT / ".env.example"))
    return Collected.ENVIRON


def read_procfile() -> dict[str, str]:
    """Return the commands of the Procfile by name."""
    lines = (ROOT / "Procfile").read_text().splitlines()
    return dict(re.split(r":\s*", line, maxsplit=1) for line in lines if re.match(r"\w+:", line))  # type: ignore[misc]


def fresh_database(url: str, name: str) -> str:
    """Create an empty database of that name on the server of `url`, and return its URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}"')
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def fresh_broker(url: str, number: int) -> str:
    """Empty the numbered database of the Redis of `url`, and return its URL."""
    numbered = urlunsplit(urlsplit(url)._replace(path=f"/{number}"))
    with redis.Redis.from_url(numbered) as broker:
        broker.flushdb()
    return numbered


def free_port(preferred: int = 0) -> int:
    """Return `preferred` if it is free, else any free port."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise RuntimeError("no port is free")


def kill_group(process: subprocess.Popen[bytes], with_signal: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, with_signal)

"""The whole product as real processes: what the Procfile says, on a database of its own.

Used by the demo, the end-to-end tests and the benchmarks.
"""

import fcntl
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, ClassVar
from urllib.parse import urlsplit, urlunsplit

import environ
import psutil
import psycopg
import redis
import requests

from tests.simulators import World, serve

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 60.0
STOP_SECONDS = 30.0
WEB_PROCESSES = 2
WEB_THREADS = 4  # of each
WORKER_THREADS = 32  # the Procfile's default
# Before a command: a watcher that kills the group when the other end of stdin is closed, however we ended.
WATCHED = "exec 3<&0 </dev/null; (read -r _ <&3; kill -KILL 0) & exec 3<&-; "
MESSENGERS = {  # the setting with a messenger's address -> where the world stands in for it
    "TELEGRAM_API_URL": "telegram",
    "VIBER_API_URL": "viber",
    "META_GRAPH_URL": "graph",
    "INSTAGRAM_GRAPH_URL": "instagram_graph",
}
NUMBERS = range(1, 16)  # of the databases of a Redis; the first is left alone


class Stack:
    """Processes of the product around one simulated world.

    Several may run at a time: each has ports, a database, a broker and a log folder of its own.
    """

    def __init__(self, name: str, *, web_port: int = 0, own_servers: bool = False, **env: str) -> None:
        from config import embedded  # late, as importing it takes a while

        number, self._number = claim_number()
        self.name = name if number == NUMBERS[0] else f"{name}_{number}"
        self.logs = ROOT / ".local" / "log" / self.name
        self.port = free_port(web_port)
        self.url = f"http://127.0.0.1:{self.port}"
        root = ROOT / ".local" / "servers" / self.name if own_servers else ROOT  # own ones may be killed
        self.postgres, self.valkey = embedded.Postgres(root), embedded.Valkey(root)
        postgres_url, redis_url = ("", "") if own_servers else map(os.environ.get, ("DATABASE_URL", "REDIS_URL"))
        self.server_url = postgres_url or self.postgres.use()
        self.database_url = fresh_database(self.server_url, f"stack_{self.name}")
        self.redis_url = fresh_broker(redis_url or self.valkey.use(), number)
        self.commands = read_procfile()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._log_began: dict[str, int] = {}  # where in its log each process began
        self.env = {
            **os.environ,
            **development_environment(),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "PUBLIC_URL": self.url,
            "PORT": str(self.port),
            "WEB_CONCURRENCY": str(WEB_PROCESSES),
            "WEB_THREADS": str(WEB_THREADS),
            "WORKER_THREADS": str(WORKER_THREADS),
            **env,
        }
        self.world = World(
            self.url, client_id=self.env["USPACY_CLIENT_ID"], client_secret=self.env["USPACY_CLIENT_SECRET"]
        )

    @contextmanager
    def running(self, *, simulator_port: int = 0) -> Iterator["Stack"]:
        """Serve the world, migrate, start web, worker and beat; stop everything at the end."""
        clear(self.logs)
        with serve(self.world, port=simulator_port) as world_url:
            self.env["USPACY_API_URL"] = f"{world_url}/uspacy/{{domain}}"
            for name, path in MESSENGERS.items():
                self.env[name] = f"{world_url}/{path}"
            self.env["SNS_TOPIC_ARNS"] = self.world.sns.topic_arn
            try:
                self._start_all()
                yield self
                self.stop_all()
            finally:
                self.kill_all()
                self.world.close()

    def _start_all(self) -> None:
        # Web and worker look at the database only once there is work: they load while it is migrated.
        self.start("web")
        self.start("worker")
        self.run("release")
        self.start("beat")
        self.wait_until_ready()

    def start(self, process: str, *, as_name: str = "", folder: Path = ROOT, **env: str) -> None:
        """Start a process of the Procfile, under a name of its own if there are several of a kind."""
        name = as_name or process
        with (self.logs / f"{name}.log").open("ab") as log:
            self._log_began[name] = log.tell()
            self.processes[name] = subprocess.Popen(
                ["/bin/sh", "-c", WATCHED + self.commands[process]],
                cwd=folder,
                env={**self.env, **env},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group to signal, which no Ctrl-C in a terminal reaches
            )

    def run(self, process: str, *, folder: Path = ROOT) -> None:
        """Run a process of the Procfile to its end. Raises RuntimeError with its output if it fails."""
        self._run(["/bin/sh", "-c", self.commands[process]], what=process, folder=folder, env=self.env)

    def manage(self, *arguments: str, folder: Path = ROOT, **env: str) -> str:
        """Return what a management command prints. Raises RuntimeError with its output if it fails."""
        command = [str(ROOT / ".venv/bin/python"), "manage.py", *arguments]
        return self._run(command, what=arguments[0], folder=folder, env={**self.env, **env})

    def _run(self, command: list[str], *, what: str, folder: Path, env: dict[str, str]) -> str:
        done = subprocess.run(
            command, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"{what} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def stop(self, name: str, *, with_signal: signal.Signals = signal.SIGTERM) -> bool:
        """Stop a process and all its children, wait for the end, and tell whether it came without SIGKILL."""
        process = self.processes.pop(name)
        with process:
            kill_group(process, with_signal)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                with_signal = signal.SIGKILL
            kill_group(process, signal.SIGKILL)  # children it may have left behind, too
        return with_signal != signal.SIGKILL

    def kill(self, name: str) -> None:
        self.stop(name, with_signal=signal.SIGKILL)

    def stop_all(self) -> None:
        for process in self.processes.values():
            kill_group(process, signal.SIGTERM)
        for name in list(self.processes):
            self.stop(name)

    def kill_all(self) -> None:
        for name in list(self.processes):
            self.kill(name)

    def wait_until_ready(self) -> None:
        """Wait until all of web answers and beat has been seen. Raises RuntimeError with the logs' ends."""
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until and all(process.poll() is None for process in self.processes.values()):
            if self._is_ready():
                return
            time.sleep(0.1)
        raise RuntimeError(f"{self.name} did not start; see {self.logs}\n{self.last_lines()}")

    def _is_ready(self) -> bool:
        web_log = (self.logs / "web.log").read_text(errors="replace")
        if web_log.count("] Started worker-") < WEB_PROCESSES:  # until then granian is deaf to SIGTERM
            return False
        try:
            return requests.get(f"{self.url}/health/ready", timeout=5).ok
        except requests.RequestException:
            return False

    def web_processes(self) -> list[psutil.Process]:
        """Return the processes that serve, without the one that started them."""
        children = psutil.Process(self.processes["web"].pid).children()
        return [child for child in children if "python" in "".join(child.cmdline()[:1])]

    def worker_is_ready(self, name: str = "worker") -> bool:
        """Whether the worker that was last started under this name takes work."""
        return b" ready." in (self.logs / f"{name}.log").read_bytes()[self._log_began[name] :]

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
    return dict(re.split(r":\s*", line, maxsplit=1) for line in lines if re.match(r"\w+:", line))


def claim_number() -> tuple[int, IO[bytes]]:
    """Return a number that no other stack of this checkout has, with the lock file that keeps it so."""
    (ROOT / ".local").mkdir(exist_ok=True)
    for number in NUMBERS:
        lock = (ROOT / ".local" / f"stack-{number}.lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        return number, lock
    raise RuntimeError("too many stacks are running")


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


def clear(folder: Path) -> None:
    """Make an empty folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        file.unlink()


def free_port(preferred: int = 0) -> int:
    """Return `preferred` if it is free, else any free port."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise RuntimeError("no port is free")


def kill_group(process: subprocess.Popen[bytes], with_signal: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, with_signal)

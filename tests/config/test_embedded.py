"""The embedded servers, used by real processes in a checkout of their own."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from config import embedded

# A process that uses both servers until its standard input ends, and answers each line with its value.
USER = """
import multiprocessing, os, sys, time
from pathlib import Path
import embedded

root = Path(sys.argv[1])
print(embedded.postgres_url(root), embedded.valkey_url(root), flush=True)
for line in sys.stdin:
    print(eval(line), flush=True)
"""
BOTH = ["postgres", "valkey-server"]
LONGER_THAN_A_SOCKET_PATH = Path("a folder's name") / ("x" * 120)


class User:
    def __init__(self, root: Path, **process: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=embedded.CHECKOUT / "config",
            start_new_session=True,
            **process,
        )

    def answer(self) -> str:
        return self.process.stdout.readline().strip()

    def ask(self, expression: str) -> str:
        self.process.stdin.write(f"{expression}\n")
        self.process.stdin.flush()
        return self.answer()

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        os.killpg(self.process.pid, number)  # as Ctrl-C does: the whole process group

    def leave(self) -> None:
        self.process.communicate(timeout=10)


@pytest.fixture(scope="module")
def used() -> Iterator[Path]:
    """A checkout whose servers have run before: making a database cluster takes longer than copying one."""
    with folder() as path:
        embedded.postgres_url(path)
        embedded.valkey_url(path)
        embedded.stop(path)
        yield path


@pytest.fixture
def new() -> Iterator[Path]:
    """A checkout in which nothing has run."""
    with folder() as path:
        yield path


@pytest.fixture
def root(used: Path, new: Path) -> Path:
    return copy(used, new)


@contextmanager
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="embedded-")).resolve()  # pytest's own is closed to other users
    try:
        yield path
    finally:
        embedded.stop(path)
        shutil.rmtree(path)


def copy(used: Path, new: Path) -> Path:
    subprocess.run(["cp", "-a", used / ".local", new], check=True)
    return new


@pytest.fixture
def start() -> Iterator[Callable[..., User]]:
    users: list[User] = []

    def start(root: Path, **process: Any) -> User:
        users.append(User(root, **process))
        return users[-1]

    yield start
    for user in users:
        user.process.kill()
        user.leave()


def find(root: Path, *names: str) -> list[psutil.Process]:
    """Return the processes that work in `root`, without those that PostgreSQL forks from itself."""
    found = []
    for process in psutil.process_iter(["name", "cwd"]):
        if process.info["name"] in names and Path(process.info["cwd"] or "/").is_relative_to(root):
            parent = process.parent()
            if parent is None or parent.name() != "postgres":
                found.append(process)
    return found


def servers(root: Path) -> list[str]:
    return sorted(process.name() for process in find(root, *BOTH))


def keepers(root: Path) -> list[psutil.Process]:
    return find(root, "python", "python3", Path(sys.executable).resolve().name)


def soon(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


def test_processes_that_start_together_share_the_servers_until_the_last_has_gone(root, start):
    users = [start(root) for _ in range(3)]
    assert len({user.answer() for user in users}) == 1
    assert servers(root) == BOTH
    users[0].leave()
    users[1].kill(signal.SIGINT)
    assert users[2].ask("os.wait()[1] if os.fork() else os._exit(0)") == "0"
    context = "multiprocessing.get_context('fork').Process(target=int)"
    assert users[2].ask(f"[(child := {context}).start(), child.join(), child.exitcode][-1]") == "0"
    time.sleep(2.5)
    assert servers(root) == BOTH
    users[2].leave()
    assert soon(lambda: not servers(root) and not keepers(root))


def test_a_forked_child_keeps_the_servers_when_its_parent_ends(root, start):
    user = start(root)
    user.answer()
    child = int(user.ask("os.fork() or time.sleep(60)"))
    user.process.kill()
    time.sleep(2.5)
    assert servers(root) == BOTH
    os.kill(child, signal.SIGKILL)
    assert soon(lambda: servers(root) == [])


def test_a_killed_user_stops_the_servers_and_the_data_stays(root, start):
    user = start(root)
    address = user.answer()
    with psycopg.connect(address.split()[0]) as database:
        database.execute("CREATE TABLE kept AS SELECT 'Привіт' AS word")
    user.kill()
    assert soon(lambda: servers(root) == [])
    assert start(root).answer() == address
    with psycopg.connect(address.split()[0]) as database:
        assert database.execute("SELECT upper(word) FROM kept").fetchone() == ("ПРИВІТ",)


def test_after_everything_was_killed_the_next_start_finds_its_way(root, start):
    user = start(root)
    address = user.answer()
    user.kill()
    for process in [*keepers(root), *find(root, *BOTH)]:
        process.kill()
    assert soon(lambda: servers(root) == [])
    # The pid file left behind may name a process that has the number now, of the same system user.
    pid_file = root / ".local/postgres/data/postmaster.pid"
    server_user = {"user": "nobody"} if os.geteuid() == 0 else {}
    with subprocess.Popen(["sleep", "60"], **server_user) as stranger:
        dead, *rest = pid_file.read_text().splitlines(keepends=True)
        pid_file.write_text("".join([f"{stranger.pid}\n", *rest]))
        assert start(root).answer() == address
        assert stranger.poll() is None
        stranger.kill()


def test_servers_that_outlive_their_keepers_get_new_ones(root, start):
    first = start(root)
    address = first.answer()
    running = find(root, *BOTH)
    assert len(running) == 2
    for process in keepers(root):
        process.kill()
    second = start(root)
    assert second.answer() == address
    assert soon(lambda: len(keepers(root)) == 2)
    time.sleep(2.5)
    assert find(root, *BOTH) == running
    first.leave()
    second.leave()
    assert soon(lambda: servers(root) == [])


def test_a_crashed_server_is_started_by_the_next_process(root, start):
    address = start(root).answer()
    for process in find(root, *BOTH):
        process.kill()
    assert start(root).answer() == address
    assert servers(root) == BOTH


def test_a_first_start_that_was_interrupted_is_repeated(new):
    half_made = new / ".local/postgres/data.new"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18\n")
    with psycopg.connect(embedded.postgres_url(new)) as database:
        assert database.execute("SELECT current_database()").fetchone() == ("uspacy",)


def test_a_checkout_and_its_copy_do_not_disturb_each_other(used, root, start):
    with folder() as elsewhere:
        other = elsewhere / LONGER_THAN_A_SOCKET_PATH
        other.mkdir(parents=True)
        copy(used, other)
        mine, theirs = start(root), start(other)  # both try the same ports first
        mine_at, theirs_at = mine.answer(), theirs.answer()
        assert not set(mine_at.split()) & set(theirs_at.split())
        embedded.stop(other)
        assert servers(root) == BOTH
        assert start(root).answer() == mine_at
        assert start(other).answer() == theirs_at
        embedded.stop(other)


def test_postgresql_is_durable_spacious_and_asks_for_the_password(root):
    url = embedded.postgres_url(root)
    names = ("fsync", "synchronous_commit", "max_connections", "server_encoding")
    with psycopg.connect(url) as database:
        assert [database.execute(f"SHOW {name}").fetchone()[0] for name in names] == ["on", "on", "300", "UTF8"]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url.replace("@", "x@"))


def test_valkey_asks_for_the_password(root):
    embedded.valkey_url(root)
    server = embedded.Valkey(root)
    assert server.answers()
    (server.home / "password").write_text("a guess")
    assert not server.answers()


def test_asking_for_running_servers_takes_no_time(root, start):
    user = start(root)
    address = user.answer()
    durations = []
    for _ in range(5):
        started = time.monotonic()
        assert user.ask("f'{embedded.postgres_url(root)} {embedded.valkey_url(root)}'") == address
        durations.append(time.monotonic() - started)
    assert min(durations) < 0.05


def test_a_server_that_cannot_start_says_why(new):
    (new / ".local/postgres/data").mkdir(parents=True)
    with pytest.raises(RuntimeError, match=r"could not access .*postgresql\.conf"):
        embedded.postgres_url(new)


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests run as an ordinary user already")
def test_an_ordinary_user_can_run_them(new, start):
    nobody = pwd.getpwnam("nobody")
    identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    try:
        subprocess.run([sys.executable, "-c", "import psycopg"], check=True, capture_output=True, **identity)
    except (PermissionError, subprocess.CalledProcessError):
        pytest.skip(f"no other user may run {Path(sys.executable).resolve()}")
    os.chown(new, nobody.pw_uid, nobody.pw_gid)
    user = start(new, **identity)
    assert len(user.answer().split()) == 2
    assert {process.username() for process in find(new, *BOTH)} == {"nobody"}
    user.leave()
    assert soon(lambda: servers(new) == [])

"""`make bench`: starts the product as real processes, measures it, and prints tables."""

import argparse
import os
import sys

import django

from tests.benchmarks import report, sink
from tests.stack import ROOT, Stack, development_environment, fresh_database

WEB_PROCESSES, WORKER_THREADS = 2, 32  # the Procfile's defaults, whatever a stack has
MESSAGES = 1_000_000  # of the console's database


def main() -> int:
    arguments = read_arguments()
    if arguments.only == "console":
        return look_at_console(arguments)
    report.progress("starting PostgreSQL, Valkey, web, worker, beat and what stands in for the remote sides")
    size = {"WEB_CONCURRENCY": str(WEB_PROCESSES), "WORKER_THREADS": str(WORKER_THREADS)}
    stack = Stack("bench", DEBUG="0", ALLOWED_HOSTS="127.0.0.1", **size)
    machine = report.machine(stack.database_url)
    try:
        with stack.running(), sink.running() as remote:
            os.environ |= stack.env
            django.setup()
            from tests.benchmarks import history  # late, as both import models
            from tests.benchmarks.suite import Suite

            suite = Suite(
                stack, remote, threads=WORKER_THREADS, rounds=arguments.rounds, renewals=arguments.renewals
            )
            tables = suite.measure(arguments.only)
            if arguments.messages:
                history.load(stack.database_url, arguments.messages)
                again = suite.measure(arguments.only)
                tables = [*tables, history.compare(tables, again, arguments.messages)]
    except RuntimeError as exc:
        report.done()
        print(exc, file=sys.stderr)
        return 1
    report.done()
    print(machine, *tables, report.HOW_TO_READ, sep="\n\n")
    return 0


def look_at_console(arguments: argparse.Namespace) -> int:
    """Measure the console on made-up data, or on what a database has; no process of the product runs."""
    url = arguments.database
    os.environ |= development_environment() | {"DEBUG": "0", "ALLOWED_HOSTS": "testserver", "LOG_LEVEL": "WARNING"}
    if not url:
        from config import embedded

        url = fresh_database(embedded.postgres_url(ROOT), "bench_console")
    os.environ |= {"DATABASE_URL": url, "REDIS_URL": "redis://localhost:1/0"}  # nothing is announced here
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    machine = report.machine(url)
    django.setup()
    from tests.benchmarks import console  # late, as it imports models

    if not arguments.database:
        console.fill(url, arguments.messages or MESSAGES)
    table = console.measure(arguments.rounds)
    report.done()
    print(machine, table, sep="\n\n")
    return 0


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        choices=["webhooks", "deliveries", "latency", "renewals", "console"],
        help="one of the benchmarks",
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each figure is taken (3)")
    parser.add_argument("--renewals", type=int, default=10_000, help="how many portals get new tokens (10,000)")
    parser.add_argument("--messages", type=int, default=0, help="measure again with so many stored messages (0)")
    parser.add_argument("--database", help="look at the console of this database, as it is, instead of a new one")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""`make bench`: starts the product as real processes, measures it, and prints tables."""

import argparse
import os
import sys

import django

from tests.benchmarks import history, report, sink
from tests.stack import Stack

WEB_PROCESSES, WORKER_THREADS = 2, 32  # the Procfile's defaults, whatever a stack has


def main() -> int:
    arguments = read_arguments()
    report.progress("starting PostgreSQL, Valkey, web, worker, beat and what stands in for the remote sides")
    size = {"WEB_CONCURRENCY": str(WEB_PROCESSES), "WORKER_THREADS": str(WORKER_THREADS)}
    stack = Stack("bench", DEBUG="0", ALLOWED_HOSTS="127.0.0.1", **size)
    machine = report.machine(stack.database_url)
    try:
        with stack.running(), sink.running() as remote:
            os.environ |= stack.env
            django.setup()
            from tests.benchmarks.suite import Suite  # late, as it imports models

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


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "--only", choices=["webhooks", "deliveries", "latency", "renewals"], help="one of the benchmarks"
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each figure is taken (3)")
    parser.add_argument("--renewals", type=int, default=10_000, help="how many portals get new tokens (10,000)")
    parser.add_argument("--messages", type=int, default=0, help="measure again with so many stored messages (0)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

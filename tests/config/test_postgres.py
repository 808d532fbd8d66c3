"""Connections of the pool are looked at before they are used, not asked."""

import psycopg
import pytest
from django.db import DataError, OperationalError, connection, transaction
from django.db.transaction import TransactionManagementError

from messaging.models import WebhookEvent
from portals.rows import Columns, fetch

pytestmark = pytest.mark.django_db(transaction=True)


def server_process() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def cut_all_connections() -> None:
    """Do to the pool's connections what a restart of the server does, and wait until it is done."""
    parameters = {
        name: connection.settings_dict[upper]
        for name, upper in {
            "dbname": "NAME",
            "user": "USER",
            "password": "PASSWORD",
            "host": "HOST",
            "port": "PORT",
        }.items()
    }
    with psycopg.connect(**parameters, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        ).fetchall()


def test_a_connection_that_the_server_has_cut_is_replaced_unnoticed() -> None:
    before = server_process()
    connection.close()  # back into the pool
    cut_all_connections()
    assert server_process() != before


def test_prepared_statements_survive_a_new_connection() -> None:
    for _time in range(2):
        for number in range(5):
            assert fetch("SELECT %s::int", [number]) == [(number,)]
        connection.close()
        cut_all_connections()


def test_errors_of_hand_written_statements_are_those_of_the_orm() -> None:
    with transaction.atomic():
        with pytest.raises(DataError), transaction.atomic(savepoint=False):
            fetch("SELECT 1 / %s::int", [0])
        with pytest.raises(TransactionManagementError):
            fetch("SELECT %s::int", [1])
    cut_all_connections()
    with pytest.raises(OperationalError):
        fetch("SELECT %s::int", [1])
    connection.close_if_unusable_or_obsolete()  # as between two tasks
    assert fetch("SELECT %s::int", [1]) == [(1,)]


def test_a_row_reads_as_the_orm_reads_it() -> None:
    WebhookEvent.objects.create(source="uspacy", key="1", payload="{}")
    columns = Columns(event=WebhookEvent)
    [row] = fetch(f"SELECT {columns} FROM messaging_webhookevent event WHERE key = %s", ["1"])
    [read], stored = columns.read(row), WebhookEvent.objects.get()
    states = [vars(event).pop("_state") for event in (read, stored)]
    assert vars(read) == vars(stored)
    assert read.received_at.tzinfo is stored.received_at.tzinfo
    assert [(state.db, state.adding) for state in states] == [("default", False)] * 2


def test_a_connection_that_is_used_again_costs_no_statement(django_assert_num_queries) -> None:
    connection.close()
    with django_assert_num_queries(1):
        server_process()

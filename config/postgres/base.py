"""The backend that `config/settings.py` names."""

import select
from collections.abc import Mapping, Sequence
from typing import Any, cast

from django.db.backends.postgresql import base
from psycopg import Connection, OperationalError
from psycopg.types.datetime import TimestamptzLoader

server_cursor: Any = base.ServerBindingCursor


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection of the pool that is looked at instead of asked before it is used."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return a connection whose server has not gone; those that a restart has cut are replaced."""
        connection = super().get_new_connection(conn_params)
        while self.pool and not is_alive(connection):
            connection.close()
            self.pool.putconn(connection)
            connection = self.pool.getconn()
        return connection

    def fetch(self, sql: str, params: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run a statement that returns rows, which PostgreSQL parses and plans once per connection, not each time.

        The ORM's own cursors cannot: they send a new text for every value. Their wrappers take a fifth to a third
        of the time, so they come in only where Django is asked to watch. Error reports do not ask: these
        statements are not among their steps that led to an error.
        """
        this: Any = self  # whose stubs lack a part
        this.ensure_connection()
        this.validate_thread_sharing()
        this.validate_no_broken_transaction()
        with this.wrap_database_errors:
            cursor = prepared_cursor(this.connection)
            if this.queries_logged or this.execute_wrappers:
                cursor = this._prepare_cursor(cursor)
            cursor.execute(sql, params)
            return cast(list[tuple[Any, ...]], cursor.fetchall())


def prepared_cursor(connection: Any) -> Any:
    """Return a connection's cursor for prepared statements, which reads times with psycopg's own fast loader."""
    try:
        return connection.prepared_cursor
    except AttributeError:
        cursor = connection.prepared_cursor = server_cursor(connection)
        cursor.adapters.register_loader("timestamptz", TimestamptzLoader)  # in the time zone of the connection
        return cursor


def is_alive(connection: "Connection[Any]") -> bool:
    """Whether an idle connection still has its server.

    A server that ends closes the connection, which can then be read from. To ask every time (CONN_HEALTH_CHECKS)
    would be a round trip for each webhook; a rare notice from the server costs one.
    """
    poll = select.poll()
    try:
        poll.register(connection.fileno(), select.POLLIN)
        if poll.poll(0):
            connection.execute("")
    except OperationalError:
        return False
    return True

"""The backend that `config/settings.py` names."""

import select
from typing import Any

from django.db.backends.postgresql import base
from psycopg import Connection, OperationalError

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

    def prepared_cursor(self) -> Any:
        """Return a cursor whose statements PostgreSQL parses and plans once per connection, not each time.

        The ORM's own cursors cannot: they send a new text for every value.
        """
        this: Any = self  # whose stubs lack a part
        this.ensure_connection()
        with this.wrap_database_errors:
            return this._prepare_cursor(server_cursor(this.connection))


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

"""What a year of use leaves behind, in the size that is asked for."""

import psycopg

from tests.benchmarks.report import Table, progress

MESSAGES_OF_CHAT = 50

CHATS = """
    INSERT INTO messaging_chat (line_id, external_id, contact_id, uspacy_id, in_uspacy, name, picture_url, meta,
        blocked, last_message_at)
    SELECT line.id, 'past-' || number, 'past-' || number, gen_random_uuid(), true, 'Customer', '', '[]',
        false, now() - random() * interval '1 year'
    FROM generate_series(1, %(chats)s::bigint) number
    JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM externallines_externalline) line
        ON line.place = number %% (SELECT count(*) FROM externallines_externalline)
"""

# Rows of one moment are of many chats, as they come in life.
MESSAGES = """
    INSERT INTO messaging_message (chat_id, direction, uspacy_id, external_id, type, text, author_id, status,
        error, sent_at, created_at)
    SELECT chat.id, CASE number %% 2 WHEN 0 THEN 'in' ELSE 'out' END, gen_random_uuid(), gen_random_uuid()::text,
        'MESSAGE', repeat('Good morning! Is it still in stock? ', 1 + (number %% 5)::int), 'past', 'sent', '',
        moment.at, moment.at
    FROM generate_series(1, %(messages)s::bigint) number
    CROSS JOIN LATERAL (SELECT now() - (%(messages)s - number) * interval '30 seconds' AS at) moment
    JOIN (SELECT id, row_number() OVER (ORDER BY random()) - 1 AS place FROM messaging_chat) chat
        ON chat.place = number %% (SELECT count(*) FROM messaging_chat)
    ORDER BY number
"""

DELIVERIES = """
    INSERT INTO messaging_delivery (message_id, chat_id, destination, kind, status, attempts, available_at, error,
        created_at, settled_at)
    SELECT id, chat_id, CASE direction WHEN 'in' THEN 'uspacy' ELSE 'customer' END, 'message', 'sent', 1,
        created_at, '', created_at, created_at
    FROM messaging_message WHERE author_id = 'past' ORDER BY id
"""

EVENTS = """
    INSERT INTO messaging_webhookevent (source, key, payload, received_at, outcome, reason, error, awaits)
    SELECT 'uspacy', gen_random_uuid()::text, '{"type": "message", "data": "' || repeat(md5(id::text), 20) || '"}',
        created_at, 'accepted', '', '', ''
    FROM messaging_message WHERE author_id = 'past' ORDER BY id
"""


def load(database_url: str, messages: int) -> None:
    """Store messages with their deliveries and events, in old chats and in those of the benchmarks."""
    size = {"messages": messages, "chats": max(1, messages // MESSAGES_OF_CHAT)}
    with psycopg.connect(database_url, autocommit=True) as database:
        for what, sql in (
            ("chats", CHATS),
            ("messages", MESSAGES),
            ("deliveries", DELIVERIES),
            ("events", EVENTS),
        ):
            progress(f"history of {messages:,} messages: {what}")
            database.execute(sql, size if "%(" in sql else None)
        progress(f"history of {messages:,} messages: VACUUM ANALYZE")
        database.execute("VACUUM ANALYZE")


def compare(empty: list[Table], full: list[Table], messages: int) -> Table:
    """Return how the first figure of each row changed; above 1.00 it got better."""
    rows = []
    for before, after in zip(empty, full, strict=True):
        for old, new in zip(before.rows, after.rows, strict=True):
            first, second = (float(row[1].replace(",", "")) for row in (old, new))
            better = second / first if before.header[1] == "per second" else first / second
            rows.append([f"{before.title.partition(',')[0]}: {old[0]}", old[1], new[1], f"{better:.2f}"])
    return Table(
        f"The same with {messages:,} stored messages, their deliveries and events",
        ("", "empty", "full", "of empty"),
        rows,
        remark="Per second, and ms where a title says From accepted to arrived.",
    )

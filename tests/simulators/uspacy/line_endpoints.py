"""External lines and their chats (uspacy-api.md 5 and 6)."""

from collections.abc import Callable

from flask import request
from flask.typing import ResponseReturnValue

from tests.simulators.contract import (
    a_filled_text,
    a_number_text,
    a_url,
    a_uuid,
    anything,
    list_of,
    one_of,
    record,
)
from tests.simulators.uspacy.api import Api, duplicate_key, invalid, json_body, missing, query, taken
from tests.simulators.uspacy.portal import Json, Portal

LINE = {"name": a_filled_text, "icon": a_url, "phoneNumber": a_filled_text, "externalId": a_filled_text}
META_TYPES = (
    *("phone", "widgetUser", "username", "facebook", "instagram"),
    *("telegram", "twitter", "viber", "whatsapp"),
)
CHAT = {
    "id": a_uuid,
    "name": a_filled_text,
    "type": one_of("EXTERNAL"),
    "externalLines": list_of(a_filled_text, at_least=1),
    "pictureUrl": a_url,
    "meta": list_of(record({"type": one_of(*META_TYPES), "value": a_filled_text})),
}
CHAT_STATUSES: dict[str, Callable[[Json], bool]] = {
    "active": lambda chat: chat["active"] and chat["assigned"],
    "inactive": lambda chat: not chat["active"],
    "undistributed": lambda chat: chat["active"] and not chat["assigned"],
}


def add_to(api: Api) -> None:
    @api.endpoint("POST", "/messenger/v1/external-lines")
    def create_line(portal: Portal) -> ResponseReturnValue:
        fields = json_body(record(LINE))
        refuse_taken_names(portal, fields)
        return portal.add_line(fields), 201

    @api.endpoint("GET", "/messenger/v1/external-lines")
    def list_lines(portal: Portal) -> ResponseReturnValue:
        query()
        return list(portal.lines.values())

    @api.endpoint("GET", "/messenger/v1/external-lines/<line_id>")
    def read_line(portal: Portal, line_id: str) -> ResponseReturnValue:
        query()
        return find_line(portal, line_id)

    @api.endpoint("PATCH", "/messenger/v1/external-lines/<line_id>")
    def change_line(portal: Portal, line_id: str) -> ResponseReturnValue:
        fields = json_body(record({}, LINE))
        line = find_line(portal, line_id)
        if line_id in portal.foreign_lines:
            raise invalid("the line belongs to another app")
        refuse_taken_names(portal, fields, line_id)
        line.update(fields)
        return line

    @api.endpoint("POST", "/messenger/v1/chats")
    def create_chat(portal: Portal) -> ResponseReturnValue:
        fields = json_body(record(CHAT))
        for line_id in fields["externalLines"]:
            find_line(portal, line_id)
        if fields["id"] in portal.chats:
            raise duplicate_key("chats", "id", fields["id"])
        return portal.chat_object(portal.add_chat(fields)), 201

    @api.endpoint("GET", "/messenger/v1/chats")
    def list_chats(portal: Portal) -> ResponseReturnValue:
        asked = query(
            optional={
                "type": one_of("EXTERNAL"),
                "externalLineIds[]": anything,
                "externalStatuses": one_of(*CHAT_STATUSES),
                "limit": a_number_text,
                "cursor": a_number_text,
            }
        )
        chats = matching_chats(portal, request.args.getlist("externalLineIds[]"), asked.get("externalStatuses"))
        if "limit" not in asked and "cursor" not in asked:
            return chats
        if "externalStatuses" not in asked:
            raise invalid("query: a page needs exactly one externalStatuses")
        start = int(asked.get("cursor", 0))
        end = start + int(asked.get("limit", 20))
        more = end < len(chats)
        return {"data": chats[start:end], "nextCursor": str(end) if more else None, "hasNext": more}


def find_line(portal: Portal, line_id: str) -> Json:
    if line_id not in portal.lines:
        raise missing("External line")
    return portal.lines[line_id]


def refuse_taken_names(portal: Portal, fields: Json, line_id: str | None = None) -> None:
    """Name and externalId are unique in a portal; how Uspacy words it is not documented."""
    for other in portal.lines.values():
        for name in ("name", "externalId"):
            if other["id"] != line_id and name in fields and other[name] == fields[name]:
                raise taken(f"External line with this {name} already exists")


def matching_chats(portal: Portal, line_ids: list[str], status: str | None) -> list[Json]:
    """Chats on any of these lines (all lines if none is named), the newest first."""
    chosen = [
        chat
        for chat in portal.chats.values()
        if (not line_ids or set(line_ids) & set(chat["externalLines"]))
        and (status is None or CHAT_STATUSES[status](chat))
    ]
    chosen.sort(key=lambda chat: chat["timestamp"], reverse=True)
    return [{**portal.chat_object(chat), "unreadCount": len(portal.unread(chat["id"]))} for chat in chosen]

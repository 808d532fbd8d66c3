"""How bodies from outside are read: one that cannot be read is the caller's fault, never ours."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework import parsers
from rest_framework.exceptions import ParseError


class JSONParser(parsers.JSONParser):
    """Reads UTF-8, whatever charset is named: JSON has no other (RFC 8259 8.1). Raises ParseError."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            return super().parse(stream, media_type, {**(parser_context or {}), "encoding": "utf-8"})
        except RecursionError as exc:
            raise ParseError("The body is nested too deeply.") from exc

"""A line as Uspacy has it."""

from django.conf import settings
from django.templatetags.static import static

from externallines.models import ExternalLine
from portals.http import Refused
from portals.services import get_client
from portals.uspacy import DuplicateMessage, UspacyClient


def find_or_create(line: ExternalLine) -> str:
    """Return the id of the line in Uspacy, which is created at most once and looks as ours (uspacy-api.md 5)."""
    client = get_client(line.portal)
    if found := _find(client, line):
        return found
    try:
        return client.create_line(external_id=str(line.key), **profile(line))
    except (Refused, DuplicateMessage):
        if found := _find(client, line):  # created by an attempt whose answer was lost
            return found
        raise


def _find(client: UspacyClient, line: ExternalLine) -> str:
    wanted = profile(line)
    for found in client.list_lines():
        if found.id == line.uspacy_id or found.external_id == str(line.key):
            if wanted != {"name": found.name, "icon": found.icon, "phone_number": found.phone_number}:
                client.update_line(found.id, **wanted)
            return found.id
    return ""


def profile(line: ExternalLine) -> dict[str, str]:
    icon = line.icon or f"{settings.PUBLIC_URL}{static(f'externallines/{line.channel}.svg')}"
    return {"name": line.name, "icon": icon, "phone_number": line.phone_number or line.name}

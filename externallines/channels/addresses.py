"""Where the messengers' APIs are. Set once, from the settings; tests point them at stand-ins."""

import re

GRAPH_VERSION = "v26.0"  # channels.md 3; served until 2028

telegram = "https://api.telegram.org"
viber = "https://chatapi.viber.com/pa"
meta_graph = f"https://graph.facebook.com/{GRAPH_VERSION}"
instagram_graph = f"https://graph.instagram.com/{GRAPH_VERSION}"


def viber_at(url: str) -> str:
    """Return the address of Viber's API at a host, which may be given with the API's path."""
    return url if url.endswith("/pa") else f"{url}/pa"


def graph_at(url: str) -> str:
    """Return the address of a Graph API at a host, which may be given with another version than ours."""
    return url if re.search(r"/v\d+\.\d+$", url) else f"{url}/{GRAPH_VERSION}"

"""Which addresses we may call, and the one way to open a connection to them (channels.md 5, SSRF).

A name is resolved here, every address it has is checked, and the connection goes to a checked address itself:
there is no second resolution that could answer differently. The name stays what TLS verifies.
"""

import re
import socket
import threading
import time
from concurrent.futures import Future
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from portals.remote import ForbiddenAddress, Unreachable

PORTS = (443, 8443)

_NOT_IN_URLS = re.compile(r"[\\\s]")

_NOT_PUBLIC = (  # beyond what ipaddress knows, which differs between versions of Python
    ip_network("192.0.0.0/24"),  # protocol assignments; Oracle Cloud's metadata service
    ip_network("192.88.99.0/24"),  # 6to4 relays
    ip_network("168.63.129.16/32"),  # Azure's platform services
    ip_network("2001::/23"),  # Teredo and other protocol assignments
    ip_network("2001:db8::/32"),  # documentation
    ip_network("2002::/16"),  # 6to4
    ip_network("3fff::/20"),  # documentation
)
_GLOBAL_UNICAST = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")  # how a network with IPv6 alone reaches IPv4


def is_public(address: str) -> bool:
    """Say whether an IP address belongs to the public internet.

    IPv6 forms that carry an IPv4 address (mapped, 6to4, Teredo) are refused, for no public host needs them;
    of NAT64 the IPv4 address is what counts.
    """
    ip = ip_address(address)
    if ip in _NAT64:
        ip = IPv4Address(ip.packed[-4:])
    if isinstance(ip, IPv6Address) and ip not in _GLOBAL_UNICAST:
        return False
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _NOT_PUBLIC)


def check_url(url: str, *, private: bool) -> tuple[str, int]:
    """Return host and port of a URL that we may call, as far as can be told without DNS.

    `private` allows plain http, any port and private addresses. Raises ForbiddenAddress.
    """
    try:
        parts = parse_url(url)
    except LocationParseError:
        raise ForbiddenAddress("The address is not a valid URL.") from None
    if parts.scheme != "https" and not (private and parts.scheme == "http"):
        raise ForbiddenAddress("The address has to begin with https://.")
    if parts.auth is not None:
        raise ForbiddenAddress("The address must not contain a user name or password.")
    if not parts.host or _NOT_IN_URLS.search(url):
        raise ForbiddenAddress("The address is not a valid URL.")
    port = parts.port if parts.port is not None else (443 if parts.scheme == "https" else 80)
    if not private and port not in PORTS:
        raise ForbiddenAddress("The address has to use port 443 or 8443.")
    literal = _literal(parts.host.strip("[]").rstrip("."))
    if literal and not private and not is_public(literal):
        raise ForbiddenAddress("The address is not on the public internet.")
    return parts.host, port


def _literal(host: str) -> str:
    """Return the IP address that a host is a notation of (`127.1`, `0x7f000001`), or an empty string."""
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return ""


def open_socket(
    kind: type[socket.socket], host: str, port: int, *, private: bool, until: float, seconds: float
) -> socket.socket:
    """Connect to a host within `seconds`, and not later than the monotonic time `until`.

    Raises ForbiddenAddress if any of its addresses is not public (unless `private`), or Unreachable.
    """
    end = min(until, time.monotonic() + seconds)
    addresses = _resolve(host, port, end)
    if not private and not all(is_public(str(address[0])) for _, address in addresses):
        raise ForbiddenAddress(f"{host} is not on the public internet.")
    for position, (family, address) in enumerate(addresses):
        left = end - time.monotonic()
        if left <= 0:
            break
        sock = kind(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(left / (len(addresses) - position))  # a dead address must not starve the next one
            sock.connect(address)
            sock.settimeout(max(end - time.monotonic(), 0.001))  # what is left, for TLS
        except OSError:
            sock.close()
        else:
            return sock
    raise Unreachable(f"{host} could not be connected to.", code="connect")


def _resolve(host: str, port: int, end: float) -> list[tuple[int, Any]]:
    """Return the (family, address) pairs of a host. getaddrinfo knows no time limit, so it gets a thread."""
    answer: Future[list[tuple[int, Any]]] = Future()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.set_result([(family, address) for family, _, _, _, address in found])
        except (OSError, UnicodeError) as error:
            answer.set_exception(error)

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        return answer.result(timeout=max(end - time.monotonic(), 0))
    except TimeoutError:
        raise Unreachable(f"The name {host} could not be looked up in time.", code="connect") from None
    except (OSError, UnicodeError):
        raise Unreachable(f"The name {host} could not be found.", code="connect") from None

"""Integration tokens: the only proof of which portal is calling.

A user token is signed with a key we do not have, so it is refused like any other stranger's token; nothing is
ever read from a token that did not verify (uspacy-api.md 2.2, 2.3).
"""

import re
from typing import Any

import jwt
from django.conf import settings

LEEWAY_SECONDS = 60  # uspacy-api.md 11.3
MAX_LENGTH = 16 * 1024  # an integration token has some 300 characters
LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOST = re.compile(rf"(?=.{{1,253}}\Z){LABEL}(?:\.{LABEL})+")


class InvalidToken(Exception):
    """The token proves nothing; the message is a reason that may be shown."""


class DomainNotAllowed(InvalidToken):
    """A name that cannot be a portal's host, verified or not."""


def verified_domain(token: str) -> str:
    """Return the host of the portal that an integration token names.

    HS256 with any of our client secrets; `exp` is required, `iat` and `nbf` hold where present. The domain is
    the JOSE header's, else the claim's (uspacy-api.md 11.2). Raises InvalidToken or DomainNotAllowed.
    """
    verified = _verify(token)
    named = [part["domain"] for part in (verified["header"], verified["payload"]) if "domain" in part]
    if not named:
        raise InvalidToken("The token names no domain.")
    if not all(isinstance(domain, str) for domain in named):
        raise InvalidToken("The token's domain is not a string.")
    if len({domain.lower() for domain in named}) > 1:
        raise InvalidToken("The token names two domains.")
    return portal_host(named[0])


def portal_host(value: str) -> str:
    """Return `value` in lower case if it is the bare host of a portal (`acme.uspacy.ua`).

    Raises DomainNotAllowed for anything else: we call that host with the portal's tokens.
    """
    host = value.lower() if value.isascii() else ""  # lower() would turn a Kelvin sign into a k
    suffixes = tuple(f".{suffix}" for suffix in settings.USPACY_DOMAINS)
    if not HOST.fullmatch(host) or not host.endswith(suffixes):
        raise DomainNotAllowed("The domain is not a Uspacy portal's.")
    return host


def _verify(token: str) -> dict[str, Any]:
    """Return the `header` and `payload` of a token that one of our secrets signed and whose time is now."""
    if len(token) > MAX_LENGTH:
        raise InvalidToken("The token is too long.")
    for secret in filter(None, settings.USPACY_CLIENT_SECRETS):
        try:
            verified = jwt.decode_complete(
                token,
                secret.encode(),
                algorithms=["HS256"],
                leeway=LEEWAY_SECONDS,
                options={
                    "require": ["exp"],
                    "verify_aud": False,
                    "verify_jti": False,
                    "verify_sub": False,
                },
            )
        except jwt.InvalidSignatureError:
            continue
        except jwt.ExpiredSignatureError as exc:
            raise InvalidToken("The token has expired.") from exc
        except jwt.ImmatureSignatureError as exc:
            raise InvalidToken("The token is not valid yet.") from exc
        except (jwt.PyJWTError, UnicodeError):
            # `from None`: the parser's error may quote the token
            raise InvalidToken("The token is not a valid integration token.") from None
        _check_times_are_numbers(verified["payload"])
        return verified
    raise InvalidToken("The token's signature does not match.")


def _check_times_are_numbers(claims: dict[str, Any]) -> None:
    """PyJWT also takes numeric strings and booleans; RFC 7519 2 does not."""
    if any(type(claims.get(name, 0)) not in (int, float) for name in ("exp", "iat", "nbf")):
        raise InvalidToken("The token's times are not numbers.")

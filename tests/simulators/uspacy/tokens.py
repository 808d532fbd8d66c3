"""The tokens of one portal: minted, accepted, rotated, expired (uspacy-api.md 2 and 3)."""

import secrets
import time
import uuid

import jwt

ACCESS_LIFETIME = 86_400
REFRESH_LIFETIME = 30 * 86_400


def integration_jwt(domain: str, client_secret: str, lifetime: float = ACCESS_LIFETIME) -> str:
    """A token the app can verify: HS256 with the client secret, the portal named in the JOSE header."""
    now = int(time.time())
    claims = {"iat": now, "nbf": now, "exp": now + int(lifetime), "jti": uuid.uuid4().hex}
    return jwt.encode(claims, client_secret, algorithm="HS256", headers={"domain": domain})


class Tokens:
    """Access tokens live a day and several may be valid; a refresh token works once."""

    def __init__(self, domain: str, client_secret: str) -> None:
        self.access_lifetime: float = ACCESS_LIFETIME
        self.refresh_lifetime: float = REFRESH_LIFETIME
        self._domain = domain
        self._client_secret = client_secret
        self._refresh_key = secrets.token_hex(32)  # not the app's business, so not its secret
        self._access: dict[str, float] = {}
        self._refresh: dict[str, float] = {}

    def mint(self) -> dict[str, str | int]:
        """A new pair, as the sign-in endpoints answer it."""
        now = time.time()
        access = integration_jwt(self._domain, self._client_secret, self.access_lifetime)
        refresh = jwt.encode(
            {"exp": int(now + self.refresh_lifetime), "jti": uuid.uuid4().hex},
            self._refresh_key,
            algorithm="HS256",
        )
        self._access[access] = now + self.access_lifetime
        self._refresh[refresh] = now + self.refresh_lifetime
        return {"jwt": access, "refreshToken": refresh, "expireInSeconds": int(self.access_lifetime)}

    def accepts(self, access_token: str) -> bool:
        return self._access.get(access_token, 0) > time.time()

    def expires_at(self, access_token: str) -> int:
        """Unix seconds; raises KeyError for a token that no longer works."""
        return int(self._access[access_token])

    def use_refresh(self, refresh_token: str) -> bool:
        """Whether the refresh token was good; it is not any more."""
        return self._refresh.pop(refresh_token, 0) > time.time()

    def expire_access(self) -> None:
        """Every access token given out so far stops working."""
        self._access.clear()

    def revoke_refresh(self) -> None:
        """Every refresh token given out so far stops working."""
        self._refresh.clear()

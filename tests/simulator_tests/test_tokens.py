import jwt
import pytest
import requests

from tests.simulator_tests.conftest import DOMAIN, Client
from tests.simulator_tests.recorder import Recorder
from tests.simulators import Portal, World

LINES = "/messenger/v1/external-lines"
REFRESH = "/auth/v1/auth/refresh_token"
SIGN_IN = "/auth/v1/auth/app_sign_in"


def refresh(client: Client, token: object, **options: object) -> requests.Response:
    headers = {"Accept": "application/json", "Authorization": f"Bearer {token}"}
    return requests.post(client.url(REFRESH), headers=headers, timeout=10, **options)


def sign_in(client: Client, **body: str) -> requests.Response:
    headers = {"Accept": "application/json"}
    return requests.post(client.url(SIGN_IN), headers=headers, json=body, timeout=10)


def test_a_refresh_token_gives_a_new_pair_once(world: World, client: Client) -> None:
    first = refresh(client, client.pair["refreshToken"])
    assert first.status_code == 200
    assert set(first.json()) == {"jwt", "refreshToken", "expireInSeconds"}
    assert first.json()["expireInSeconds"] == 86400
    again = refresh(client, client.pair["refreshToken"])
    assert again.status_code == 401
    assert again.json()["errors"]
    assert refresh(client, first.json()["refreshToken"]).status_code == 200
    assert world.breaches == []


def test_renewed_access_tokens_work(client: Client) -> None:
    renewed = refresh(client, client.pair["refreshToken"]).json()["jwt"]
    assert client.call("GET", LINES, headers={"Authorization": f"Bearer {renewed}"}).status_code == 200


def test_expired_and_revoked_tokens_are_refused(world: World, portal: Portal, client: Client) -> None:
    portal.expire_access_tokens()
    portal.revoke_refresh_tokens()
    assert client.call("GET", LINES).status_code == 401
    assert refresh(client, client.pair["refreshToken"]).status_code == 401
    assert world.breaches == []  # it happens to the most careful app


def test_the_lifetime_of_access_tokens_can_be_set(portal: Portal, client: Client) -> None:
    portal.access_lifetime = -1
    stale = portal.tokens.mint()["jwt"]
    assert client.call("GET", LINES, headers={"Authorization": f"Bearer {stale}"}).status_code == 401


def test_an_access_token_is_no_refresh_token(client: Client) -> None:
    assert refresh(client, client.pair["jwt"]).status_code == 401


def test_a_refresh_with_a_body_is_a_breach(world: World, client: Client) -> None:
    answer = refresh(client, client.pair["refreshToken"], json={"refresh_token": "x"})
    assert answer.status_code == 400
    assert len(world.breaches) == 1


def test_app_sign_in_needs_the_right_pair(world: World, client: Client) -> None:
    good = sign_in(client, client_id=world.client_id, client_secret=world.client_secret)
    assert good.status_code == 200
    assert refresh(client, good.json()["refreshToken"]).status_code == 200
    assert sign_in(client, client_id=world.client_id, client_secret="wrong").status_code == 401


@pytest.mark.parametrize("setting", ["sign_in_allowed", "installed"])
def test_app_sign_in_can_be_unavailable(world: World, portal: Portal, client: Client, setting: str) -> None:
    setattr(portal, setting, False)
    assert sign_in(client, client_id=world.client_id, client_secret=world.client_secret).status_code == 401


def test_app_sign_in_takes_no_token(world: World, client: Client) -> None:
    body = {"client_id": world.client_id, "client_secret": world.client_secret}
    assert client.call("POST", SIGN_IN, json=body).status_code == 400
    assert len(world.breaches) == 1


def test_install_sends_what_the_marketplace_sends(world: World, portal: Portal, app: Recorder) -> None:
    world.uspacy.install(DOMAIN)
    call = app.calls[0]
    assert (call.method, call.path) == ("POST", "/portals/install")
    assert set(call.json) == {"token", "refresh_token", "expiry_date"}
    for token in (call.json["token"], call.headers["authorization"].removeprefix("Bearer ")):
        claims = jwt.decode(token, world.client_secret, algorithms=["HS256"])
        assert {"iat", "nbf", "exp"} <= set(claims)
        assert jwt.get_unverified_header(token)["domain"] == DOMAIN
    assert claims_expiry(world, call.json["token"]) == call.json["expiry_date"]
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(call.json["refresh_token"], world.client_secret, algorithms=["HS256"])


def claims_expiry(world: World, token: str) -> int:
    return int(jwt.decode(token, world.client_secret, algorithms=["HS256"])["exp"])


def test_uninstall_kills_the_tokens(world: World, client: Client, app: Recorder) -> None:
    world.uspacy.uninstall(DOMAIN)
    assert (app.calls[0].method, app.calls[0].path) == ("DELETE", "/portals/uninstall")
    assert client.call("GET", LINES).status_code == 401
    assert refresh(client, client.pair["refreshToken"]).status_code == 401

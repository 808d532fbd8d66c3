"""The marketplace's callbacks: who may call, what is stored, and what is answered (uspacy-api.md 2)."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from django.db import connections
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from portals.models import Portal, PortalEvent
from tests.mounting import mounted_under
from tests.simulators.uspacy.tokens import integration_jwt

pytestmark = pytest.mark.django_db

DOMAIN = "acme.uspacy.ua"
OTHER_DOMAIN = "other.uspacy.com"
EXPIRY = 1_900_000_000  # March 2030
FIELDS = ("token", "refresh_token", "expiry_date")
INSTALL, UNINSTALL = "/portals/install", "/portals/uninstall"


class Marketplace:
    """Calls the app as Uspacy does: with tokens that the app's secret has signed."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.client = Client(raise_request_exception=False)

    def token(self, domain: str = DOMAIN, lifetime: float = 3600) -> str:
        return integration_jwt(domain, self.secret, lifetime)

    def body(self, **changed: Any) -> dict[str, Any]:
        """A good body; what is changed to `...` is left out."""
        body = {"token": self.token(), "refresh_token": "refresh-1", "expiry_date": EXPIRY} | changed
        return {name: value for name, value in body.items() if value is not ...}

    def install(
        self, body: Any = None, *, bearer: str | None = None, path: str = INSTALL, type: str = "application/json"
    ) -> HttpResponse:
        body = self.body() if body is None else body
        content = body if isinstance(body, str | bytes) else json.dumps(body)
        return self.client.generic("POST", path, content, type, headers=_authorization(bearer))

    def uninstall(self, bearer: str | None = None, *, path: str = UNINSTALL) -> HttpResponse:
        return self.client.delete(path, headers=_authorization(self.token() if bearer is None else bearer))


def _authorization(bearer: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {bearer}"} if bearer else {}


@pytest.fixture
def marketplace(settings: Any) -> Marketplace:
    return Marketplace(settings.USPACY_CLIENT_SECRETS[0])


@pytest.fixture
def installed(marketplace: Marketplace) -> Portal:
    assert marketplace.install().status_code == 200
    return Portal.objects.get()


def stored() -> list[Any]:
    """Everything there is to know of all portals."""
    return [*Portal.objects.order_by("pk").values(), *PortalEvent.objects.order_by("pk").values()]


def events() -> list[str]:
    return list(PortalEvent.objects.order_by("pk").values_list("kind", flat=True))


def assert_error(response: HttpResponse, status: int, *fields: str) -> None:
    """The answer has the status, and names exactly these fields in the one shape of errors."""
    assert response.status_code == status, response.content
    body = json.loads(response.content)
    assert body.keys() == {"errors", "status"}
    assert body["status"] is False
    assert set(body["errors"]) == set(fields)
    for sentences in body["errors"].values():
        assert sentences
        assert all(isinstance(sentence, str) and sentence for sentence in sentences)


# Install


def test_an_installation_stores_the_tokens_and_is_confirmed(marketplace: Marketplace) -> None:
    body = marketplace.body()
    response = marketplace.install(body, bearer=marketplace.token())
    assert response.status_code == 200
    assert json.loads(response.content) == {"status": True, "message": "success"}
    portal = Portal.objects.get()
    assert (portal.domain, portal.status) == (DOMAIN, "active")
    assert (portal.token, portal.refresh_token) == (body["token"], "refresh-1")
    assert portal.expires_at == datetime.fromtimestamp(EXPIRY, UTC)
    assert portal.refresh_expires_at is not None
    assert 29 <= (portal.refresh_expires_at - timezone.now()).days < 31
    assert events() == ["installed"]


def test_an_installation_again_takes_the_new_tokens(marketplace: Marketplace, installed: Portal) -> None:
    installed.status, installed.last_error = Portal.Status.NEEDS_REINSTALL, "Uspacy refused."
    installed.save()
    response = marketplace.install(marketplace.body(refresh_token="refresh-2", expiry_date=EXPIRY + 1))
    assert response.status_code == 200
    assert json.loads(response.content) == {"status": True, "message": "success"}
    portal = Portal.objects.get()
    assert (portal.refresh_token, portal.status, portal.last_error) == ("refresh-2", "active", "")
    assert portal.expires_at == datetime.fromtimestamp(EXPIRY + 1, UTC)
    assert events() == ["installed", "reinstalled"]


def test_an_installation_revives_an_uninstalled_portal(marketplace: Marketplace, installed: Portal) -> None:
    marketplace.uninstall()
    assert marketplace.install().status_code == 200
    portal = Portal.objects.get()
    assert (portal.pk, portal.status, portal.uninstalled_at) == (installed.pk, "active", None)
    assert events() == ["installed", "uninstalled", "reinstalled"]


def test_the_portal_is_named_by_its_whole_host_in_lower_case(marketplace: Marketplace) -> None:
    marketplace.install(marketplace.body(token=marketplace.token("ACME.Uspacy.UA")))
    assert Portal.objects.get().domain == DOMAIN


@pytest.mark.django_db(transaction=True)
def test_installations_at_the_same_time_make_one_portal(marketplace: Marketplace) -> None:
    body = marketplace.body()

    def install(_number: int) -> int:
        try:
            return marketplace.install(body).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(install, range(6))) == [200] * 6
    assert Portal.objects.count() == 1
    assert sorted(events()) == ["installed"] + ["reinstalled"] * 5


# Where the token may be


def test_the_token_in_the_body_is_proof_enough(marketplace: Marketplace) -> None:
    assert marketplace.install().status_code == 200
    assert Portal.objects.get().domain == DOMAIN


def test_the_token_in_the_header_alone_is_not_a_whole_body(marketplace: Marketplace) -> None:
    assert_error(marketplace.install(marketplace.body(token=...), bearer=marketplace.token()), 422, "token")
    assert stored() == []


def test_two_tokens_of_one_portal_agree(marketplace: Marketplace) -> None:
    assert marketplace.install(bearer=marketplace.token(lifetime=7200)).status_code == 200


def test_two_tokens_of_different_portals_are_refused(marketplace: Marketplace) -> None:
    assert_error(marketplace.install(bearer=marketplace.token(OTHER_DOMAIN)), 401, "text")
    assert stored() == []


@pytest.mark.parametrize("bad", ["header", "body"])
@pytest.mark.parametrize("kind", ["forged", "expired", "garbage"])
def test_one_good_token_does_not_make_up_for_a_bad_one(marketplace: Marketplace, bad: str, kind: str) -> None:
    tokens = {"header": marketplace.token(), "body": marketplace.token()}
    tokens[bad] = {
        "forged": integration_jwt(DOMAIN, "another-secret-0123456789-0123456789"),
        "expired": marketplace.token(lifetime=-3600),
        "garbage": "not.a.token",
    }[kind]
    response = marketplace.install(marketplace.body(token=tokens["body"]), bearer=tokens["header"])
    assert_error(response, 401, "text")
    assert stored() == []


@pytest.mark.parametrize("body", [{}, {"token": ""}, {"token": None}, {"token": 5}, [], None, "text"])
def test_without_any_token_nobody_is_told_what_is_wrong_with_the_body(marketplace: Marketplace, body: Any) -> None:
    assert_error(marketplace.install(json.dumps(body)), 401, "text")
    assert stored() == []


def test_another_scheme_than_bearer_is_no_token(marketplace: Marketplace) -> None:
    response = marketplace.client.delete(UNINSTALL, headers={"Authorization": f"Basic {marketplace.token()}"})
    assert_error(response, 401, "text")


# Forgeries


def forge(kind: str, secret: str) -> str:
    """A token that the fallback of the official template would believe (uspacy-api.md 2.3)."""
    now = int(time.time())
    headers = {"domain": DOMAIN}
    claims = {"iat": now, "nbf": now, "exp": now + 3600, **headers}
    text, _, signature = jwt.encode(claims, secret, "HS256", headers).rpartition(".")
    match kind:
        case "another key":
            return jwt.encode(claims, "a-key-of-the-attacker-0123456789-abcdef", "HS256", headers)
        case "no signature":
            return f"{text}."
        case "a cut signature":
            return f"{text}.{signature[:-4]}"
        case "algorithm none":
            return jwt.encode(claims, None, "none", headers)
        case "another algorithm":
            return jwt.encode(claims, secret, "HS512", headers)
        case "expired":
            return jwt.encode(claims | {"exp": now - 3600}, secret, "HS256", headers)
        case "not valid yet":
            return jwt.encode(claims | {"nbf": now + 3600}, secret, "HS256", headers)
        case "endless":
            return jwt.encode({"domain": DOMAIN}, secret, "HS256", headers)
        case "other claims under a good signature":
            other = jwt.encode(claims | {"exp": now + 7200}, secret, "HS256", headers)
            return f"{other.rpartition('.')[0]}.{signature}"
    raise ValueError(kind)


FORGERIES = [
    *("another key", "no signature", "a cut signature", "algorithm none", "another algorithm"),
    *("expired", "not valid yet", "endless", "other claims under a good signature"),
]


@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
@pytest.mark.parametrize("kind", FORGERIES)
@pytest.mark.parametrize("known", [True, False], ids=["known portal", "unknown portal"])
def test_a_forged_token_is_refused_and_changes_nothing(
    marketplace: Marketplace, request: pytest.FixtureRequest, kind: str, known: bool
) -> None:
    if known:
        request.getfixturevalue("installed")
    before = stored()
    forged = forge(kind, marketplace.secret)
    answers = [
        marketplace.install(marketplace.body(token=forged)),
        marketplace.install(marketplace.body(token=forged), bearer=forged),
        marketplace.install(marketplace.body(token=...), bearer=forged),
        marketplace.uninstall(forged),
        marketplace.uninstall(forged, path="/portals/uinstall"),
    ]
    for answer in answers:
        assert_error(answer, 401, "text")
        assert forged not in answer.content.decode()
    assert stored() == before


@pytest.mark.parametrize(
    "domain", ["acme.evil.com", "uspacy.ua", "acme.uspacy.ua.evil.com", "127.0.0.1", "localhost"]
)
def test_a_domain_that_is_not_uspacys_is_forbidden(marketplace: Marketplace, domain: str) -> None:
    token = marketplace.token(domain)
    assert_error(marketplace.install(marketplace.body(token=token)), 403, "text")
    assert_error(marketplace.install(marketplace.body(token=...), bearer=token), 403, "text")
    assert_error(marketplace.uninstall(token), 403, "text")
    assert stored() == []


# Bad bodies

TOO_LONG = "x" * 10_001
BAD_VALUES = [
    *[("token", value) for value in (..., None, "", 5, True, ["t"], {"t": 1})],
    *[
        ("refresh_token", value)
        for value in (..., None, "", "  ", 5, 1.5, True, ["t"], {"t": 1}, TOO_LONG, "a\x00b", "a\ud800b")
    ],
    *[
        ("expiry_date", value)
        for value in (
            *(..., None, "", "  ", "tomorrow", "NaN", "1e9", 1.5, -1, "-1", True, [EXPIRY], {"at": EXPIRY}),
            *(32_503_680_001, 1_900_000_000_000, 10**18, 10**400, "9" * 5_000),
        )
    ],
]


@pytest.mark.parametrize(("field", "value"), BAD_VALUES, ids=lambda value: repr(value)[:20])
def test_a_bad_field_is_named(marketplace: Marketplace, field: str, value: Any) -> None:
    response = marketplace.install(marketplace.body(**{field: value}), bearer=marketplace.token())
    assert_error(response, 422, field)
    assert stored() == []


def test_all_bad_fields_are_named_at_once(marketplace: Marketplace) -> None:
    assert_error(marketplace.install({}, bearer=marketplace.token()), 422, *FIELDS)


@pytest.mark.parametrize(
    "body",
    [
        *("", "{", "null", "[]", "5", '"text"', "[" * 100_000, b"\xff\xfe\x00", b"\x00"),
        *(f'{{"token": "t", "refresh_token": "r", "expiry_date": {n}}}' for n in ("NaN", "Infinity", "-Infinity")),
        f'{{"expiry_date": {"9" * 5_000}}}',
    ],
    ids=lambda body: repr(body)[:20],
)
def test_a_body_that_is_no_json_object_lacks_every_field(marketplace: Marketplace, body: str | bytes) -> None:
    assert_error(marketplace.install(body, bearer=marketplace.token()), 422, *FIELDS)
    assert_error(marketplace.install(body), 401, "text")
    assert stored() == []


def test_an_expiry_beyond_every_float_is_a_bad_field(marketplace: Marketplace) -> None:
    body = json.dumps(marketplace.body(expiry_date=0)).replace(": 0", ": 1e400")
    assert_error(marketplace.install(body), 422, "expiry_date")


def test_a_body_larger_than_any_callback_is_not_read(marketplace: Marketplace, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 2_000
    body = marketplace.body(refresh_token="x" * 3_000)
    assert_error(marketplace.install(body, bearer=marketplace.token()), 422, *FIELDS)
    assert_error(marketplace.install(body), 401, "text")


@pytest.mark.parametrize("type", ["text/plain", "multipart/form-data; boundary=x", "application/xml", "nonsense"])
def test_a_body_of_another_type_is_a_bad_body(marketplace: Marketplace, type: str) -> None:
    assert_error(marketplace.install(bearer=marketplace.token(), type=type), 422, *FIELDS)
    assert stored() == []


@pytest.mark.parametrize("charset", ["utf-8", "zlib", "bz2", "hex", "idna", "undefined", "no-such"])
def test_json_is_read_as_utf8_whatever_it_says(marketplace: Marketplace, charset: str) -> None:
    assert marketplace.install(type=f"application/json; charset={charset}").status_code == 200


def test_a_form_is_understood_too(marketplace: Marketplace) -> None:
    response = marketplace.client.post(
        INSTALL,
        "&".join(f"{name}={value}" for name, value in marketplace.body().items()),
        "application/x-www-form-urlencoded",
    )
    assert response.status_code == 200
    assert Portal.objects.get().refresh_token == "refresh-1"


def test_a_form_with_too_many_fields_is_a_bad_body(marketplace: Marketplace) -> None:
    body = "&".join(f"field{number}=1" for number in range(2_000))
    response = marketplace.install(body, bearer=marketplace.token(), type="application/x-www-form-urlencoded")
    assert_error(response, 422, *FIELDS)


def test_an_expiry_in_the_past_is_stored_as_it_is(marketplace: Marketplace) -> None:
    assert marketplace.install(marketplace.body(expiry_date=0)).status_code == 200
    assert Portal.objects.get().expires_at == datetime(1970, 1, 1, tzinfo=UTC)


def test_a_refused_body_leaves_an_installed_portal_alone(marketplace: Marketplace, installed: Portal) -> None:
    before = stored()
    assert_error(marketplace.install(marketplace.body(expiry_date="soon")), 422, "expiry_date")
    assert stored() == before


# Uninstall


@pytest.mark.parametrize("path", ["/portals/uninstall", "/portals/uinstall"])
def test_an_uninstallation_wipes_the_tokens_and_keeps_the_portal(
    marketplace: Marketplace, installed: Portal, path: str
) -> None:
    response = marketplace.uninstall(path=path)
    assert (response.status_code, response.content) == (204, b"")
    installed.refresh_from_db()
    assert installed.status == "uninstalled"
    assert (installed.token, installed.refresh_token) == ("", "")
    assert (installed.expires_at, installed.refresh_expires_at) == (None, None)
    assert installed.uninstalled_at is not None
    assert events() == ["installed", "uninstalled"]


def test_a_refused_uninstallation_raises_an_alarm(
    marketplace: Marketplace, installed: Portal, caplog: Any
) -> None:
    marketplace.uninstall("not a token")
    marketplace.install(bearer="not a token")
    assert [record.levelname for record in caplog.records if "callback_refused" in str(record.msg)] == [
        "ERROR",
        "WARNING",
    ]


def test_an_uninstallation_again_changes_nothing(marketplace: Marketplace, installed: Portal) -> None:
    marketplace.uninstall()
    before = stored()
    response = marketplace.uninstall()
    assert (response.status_code, response.content) == (204, b"")
    assert stored() == before


def test_a_portal_we_do_not_know_is_uninstalled_already(marketplace: Marketplace, installed: Portal) -> None:
    before = stored()
    response = marketplace.uninstall(marketplace.token(OTHER_DOMAIN))
    assert (response.status_code, response.content) == (204, b"")
    assert stored() == before


def test_an_uninstallation_concerns_one_portal_only(marketplace: Marketplace, installed: Portal) -> None:
    marketplace.install(marketplace.body(token=marketplace.token(OTHER_DOMAIN)))
    marketplace.uninstall(marketplace.token(OTHER_DOMAIN))
    installed.refresh_from_db()
    assert installed.status == "active"
    assert installed.token


def test_a_token_in_the_body_does_not_uninstall(marketplace: Marketplace, installed: Portal) -> None:
    body = json.dumps({"token": marketplace.token()})
    assert_error(marketplace.client.delete(UNINSTALL, body, "application/json"), 401, "text")
    installed.refresh_from_db()
    assert installed.status == "active"


# Paths and methods


@pytest.mark.parametrize("prefix", ["", "/bridge/v1"])
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("uninstall", ["/portals/uninstall", "/portals/uinstall"])
def test_the_callbacks_answer_on_every_path_without_a_redirect(
    marketplace: Marketplace, prefix: str, slash: str, uninstall: str
) -> None:
    with mounted_under("bridge/v1" if prefix else ""):
        installation = marketplace.install(path=f"{prefix}{INSTALL}{slash}")
        uninstallation = marketplace.uninstall(path=f"{prefix}{uninstall}{slash}")
    assert (installation.status_code, uninstallation.status_code) == (200, 204)
    assert events() == ["installed", "uninstalled"]


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/portals/install", ("get", "head", "put", "patch", "delete")),
        ("/portals/uninstall", ("get", "head", "post", "put", "patch")),
        ("/portals/uinstall", ("get", "head", "post", "put", "patch")),
    ],
)
def test_other_methods_are_not_allowed(
    marketplace: Marketplace, installed: Portal, path: str, methods: tuple[str, ...], slash: str
) -> None:
    before = stored()
    for method in methods:
        response = getattr(marketplace.client, method)(path + slash, headers=_authorization(marketplace.token()))
        if method == "head":
            assert response.status_code == 405
        else:
            assert_error(response, 405, "text")
    assert stored() == before


def test_a_fault_of_ours_is_a_5xx(marketplace: Marketplace, settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEYS = []
    assert marketplace.install().status_code == 500

"""Integration tokens: only what one of our secrets signed tells which portal calls (uspacy-api.md 2, 11)."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from portals import jwt

SECRET = "first-client-secret-0123456789abcdef"
OLD_SECRET = "older-client-secret-0123456789abcdef"
DOMAIN = "acme.uspacy.ua"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(autouse=True)
def _app(settings: Any) -> None:
    settings.USPACY_CLIENT_SECRETS = [SECRET, OLD_SECRET]
    settings.USPACY_DOMAINS = ["uspacy.ua", "uspacy.com.br"]


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    return {"iat": now, "nbf": now, "exp": now + 3600} | changed


def token(
    payload: dict[str, Any] | None = None, secret: str = SECRET, *, algorithm: str = "HS256", **headers: Any
) -> str:
    """A token that names the portal in its header, as Uspacy's do, unless told otherwise."""
    headers = {"domain": DOMAIN} | headers
    payload = claims() if payload is None else payload
    return pyjwt.encode(payload, secret, algorithm, {key: headers[key] for key in headers if headers[key] != ...})


def handmade(header: Any, payload: Any) -> str:
    """A token of any content, with a true signature."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = hmac.digest(SECRET.encode(), text, hashlib.sha256)
    return (text + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


# Which portal


def test_the_domain_is_the_headers() -> None:
    assert jwt.verified_domain(token()) == DOMAIN


def test_without_one_in_the_header_the_domain_is_the_claims() -> None:
    assert jwt.verified_domain(token(claims(domain=DOMAIN), domain=...)) == DOMAIN


def test_both_may_name_the_same_portal_in_any_case() -> None:
    assert jwt.verified_domain(token(claims(domain="ACME.Uspacy.UA"))) == DOMAIN


@pytest.mark.parametrize("claimed", ["evil.uspacy.ua", "", "acme.uspacy.com.br"])
def test_two_different_domains_are_refused(claimed: str) -> None:
    with pytest.raises(jwt.InvalidToken, match="two domains"):
        jwt.verified_domain(token(claims(domain=claimed)))


def test_no_domain_is_refused() -> None:
    with pytest.raises(jwt.InvalidToken, match="no domain"):
        jwt.verified_domain(token(domain=...))


@pytest.mark.parametrize("domain", [None, 1, True, [DOMAIN], {"host": DOMAIN}])
def test_a_domain_that_is_no_string_is_refused(domain: object) -> None:
    for forged in (token(domain=domain), token(claims(domain=domain), domain=...), token(claims(domain=domain))):
        with pytest.raises(jwt.InvalidToken, match="not a string"):
            jwt.verified_domain(forged)


def test_a_verified_domain_outside_uspacy_is_not_allowed() -> None:
    with pytest.raises(jwt.DomainNotAllowed):
        jwt.verified_domain(token(domain="acme.evil.com"))


# Who signed


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
def test_each_of_our_secrets_verifies(secret: str) -> None:
    assert jwt.verified_domain(token(secret=secret)) == DOMAIN


def test_a_secret_that_was_withdrawn_no_longer_verifies(settings: Any) -> None:
    settings.USPACY_CLIENT_SECRETS = [SECRET]
    with pytest.raises(jwt.InvalidToken, match="signature"):
        jwt.verified_domain(token(secret=OLD_SECRET))


@pytest.mark.parametrize("secrets", [[], [""]])
def test_without_a_secret_nothing_verifies(settings: Any, secrets: list[str]) -> None:
    settings.USPACY_CLIENT_SECRETS = secrets
    for secret in (b"", SECRET.encode()):
        text = token().rpartition(".")[0]
        signature = base64.urlsafe_b64encode(hmac.digest(secret, text.encode(), hashlib.sha256)).rstrip(b"=")
        with pytest.raises(jwt.InvalidToken, match="signature"):
            jwt.verified_domain(f"{text}.{signature.decode()}")


@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
def test_a_short_secret_verifies(settings: Any) -> None:
    settings.USPACY_CLIENT_SECRETS = ["short"]
    assert jwt.verified_domain(token(secret="short")) == DOMAIN


def test_the_secret_is_text_and_not_base64(settings: Any) -> None:
    settings.USPACY_CLIENT_SECRETS = [base64.b64encode(SECRET.encode()).decode()]
    with pytest.raises(jwt.InvalidToken, match="signature"):
        jwt.verified_domain(token())


def test_a_forged_token_with_a_domain_claim_is_refused() -> None:
    """The official template falls back to the unverified claim (uspacy-api.md 2.3); we have no fallback."""
    forged = token(claims(domain=DOMAIN), "someone else's secret, which is long enough", domain=...)
    with pytest.raises(jwt.InvalidToken, match="signature"):
        jwt.verified_domain(forged)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, 0, ["HS256"], "HS384", "HS512", "RS256"])
def test_only_hs256_verifies(algorithm: object) -> None:
    forged = handmade({"alg": algorithm, "typ": "JWT", "domain": DOMAIN}, claims(domain=DOMAIN))
    for text in (forged, forged.rpartition(".")[0] + "."):
        with pytest.raises(jwt.InvalidToken):
            jwt.verified_domain(text)


@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_other_hashes_of_our_own_secret_do_not_verify(algorithm: str) -> None:
    other = token(algorithm=algorithm)
    with pytest.raises(jwt.InvalidToken):
        jwt.verified_domain(other)


def test_an_rsa_signature_does_not_verify(settings: Any) -> None:
    private = RSA_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    settings.USPACY_CLIENT_SECRETS = [SECRET, public]  # as if someone took the key for a secret
    with pytest.raises(jwt.InvalidToken):
        jwt.verified_domain(token(secret=private, algorithm="RS256"))


def test_an_unsigned_token_is_refused() -> None:
    header, payload, _signature = token(claims(domain=DOMAIN)).split(".")
    for text in (f"{header}.{payload}.", f"{header}.{payload}"):
        with pytest.raises(jwt.InvalidToken):
            jwt.verified_domain(text)


# When


def test_a_minute_of_clock_difference_is_tolerated() -> None:
    now = int(time.time())
    assert jwt.verified_domain(token(claims(exp=now - 50, iat=now + 50, nbf=now + 50))) == DOMAIN


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"exp": -70}, "expired"),
        ({"exp": -86_400}, "expired"),
        ({"iat": +70}, "not valid yet"),
        ({"nbf": +70}, "not valid yet"),
    ],
)
def test_a_token_holds_only_in_its_time(changed: dict[str, int], reason: str) -> None:
    now = int(time.time())
    with pytest.raises(jwt.InvalidToken, match=reason):
        jwt.verified_domain(token(claims(**{name: now + offset for name, offset in changed.items()})))


def test_only_the_expiry_is_required() -> None:
    assert jwt.verified_domain(token({"exp": int(time.time()) + 60})) == DOMAIN
    with pytest.raises(jwt.InvalidToken):
        jwt.verified_domain(token({"iat": int(time.time())}))


@pytest.mark.parametrize(
    "exp", ["4102444800", "soon", "", None, True, [], {}, -1, 0, -(10**30), 1e400, -1e400, float("nan")]
)
def test_a_senseless_expiry_is_refused(exp: object) -> None:
    with pytest.raises(jwt.InvalidToken):
        jwt.verified_domain(handmade({"alg": "HS256", "domain": DOMAIN}, claims(exp=exp)))


@pytest.mark.parametrize("name", ["iat", "nbf"])
@pytest.mark.parametrize("value", ["1", "", None, True, [], 10**30, 1e400, float("nan")])
def test_a_senseless_beginning_is_refused(name: str, value: object) -> None:
    with pytest.raises(jwt.InvalidToken):
        jwt.verified_domain(handmade({"alg": "HS256", "domain": DOMAIN}, claims(**{name: value})))


def test_an_expiry_may_lie_far_ahead_or_have_a_fraction() -> None:
    assert jwt.verified_domain(token(claims(exp=10**30))) == DOMAIN
    assert jwt.verified_domain(token(claims(exp=time.time() + 60.5))) == DOMAIN


def test_other_claims_are_of_no_interest() -> None:
    payload = claims(aud="x", iss=[1], sub=7, jti=None, roles=["ADMIN"])
    assert jwt.verified_domain(handmade({"alg": "HS256", "domain": DOMAIN}, payload)) == DOMAIN


# Garbage


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "Bearer",
        "null",
        "\x00",
        "\ud800",
        "ї.ї.ї",
        "a" * 20_000,
        "." * 10_000,
        handmade(b"[" * 5_000, claims()),
        handmade({"alg": "HS256", "domain": DOMAIN}, b"[" * 5_000),
        handmade({"alg": "HS256", "domain": DOMAIN}, [1]),
        handmade({"alg": "HS256", "domain": DOMAIN}, b"\xff"),
        handmade({"alg": "HS256", "domain": DOMAIN}, b'{"exp": ' + b"9" * 5_000 + b"}"),
        handmade(["HS256"], claims()),
        handmade({"alg": "HS256", "domain": DOMAIN, "b64": False, "crit": ["b64"]}, claims()),
        handmade({"alg": "HS256", "domain": DOMAIN, "crit": ["x"], "x": 1}, claims()),
        handmade({"alg": "HS256", "domain": DOMAIN, "kid": 1}, claims()),
    ],
    ids=lambda text: repr(text[:12]),
)
def test_garbage_is_refused(text: str) -> None:
    with pytest.raises(jwt.InvalidToken):
        jwt.verified_domain(text)


def test_a_very_long_token_is_refused_unread() -> None:
    with pytest.raises(jwt.InvalidToken, match="too long"):
        jwt.verified_domain(token(claims(padding="x" * 20_000)))


@given(st.text() | st.lists(st.text("abAB01-_="), min_size=3, max_size=3).map(".".join))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_raises_anything_but_invalid_token(text: str) -> None:
    with pytest.raises(jwt.InvalidToken):
        jwt.verified_domain(text)


@given(st.data())
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_a_tampered_token_is_refused(data: st.DataObject) -> None:
    genuine = token().encode()
    position = data.draw(st.integers(0, len(genuine) - 1))
    other = data.draw(st.integers(0, 127).filter(lambda byte: byte != genuine[position]))
    tampered = genuine[:position] + bytes([other]) + genuine[position + 1 :]
    with pytest.raises(jwt.InvalidToken):
        jwt.verified_domain(tampered.decode())


def test_no_reason_quotes_the_token() -> None:
    secret_part = "c2VjcmV0"
    for text in (secret_part, f"{secret_part}.{secret_part}.{secret_part}", f"e30.{secret_part}.x"):
        with pytest.raises(jwt.InvalidToken) as refusal:
            jwt.verified_domain(text)
        assert secret_part not in str(refusal.value)
        assert refusal.value.__cause__ is None


# Hosts


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("acme.uspacy.ua", "acme.uspacy.ua"),
        ("ACME.Uspacy.Ua", "acme.uspacy.ua"),
        ("a-1.uspacy.com.br", "a-1.uspacy.com.br"),
        ("acme.staging.uspacy.ua", "acme.staging.uspacy.ua"),
        ("1.uspacy.ua", "1.uspacy.ua"),
        (f"{'a' * 63}.uspacy.ua", f"{'a' * 63}.uspacy.ua"),
    ],
)
def test_a_portals_host_is_taken_in_lower_case(value: str, host: str) -> None:
    assert jwt.portal_host(value) == host


@pytest.mark.parametrize(
    "value",
    [
        "",
        ".",
        "acme",
        "localhost",
        "127.0.0.1",
        "uspacy.ua",
        ".uspacy.ua",
        "uspacy.com.br",
        "evil-uspacy.ua",
        "eviluspacy.ua",
        "acme.uspacy.ua.evil.com",
        "acme.uspacy.com",
        "acme.evil.com/acme.uspacy.ua",
        "https://acme.uspacy.ua",
        "//acme.uspacy.ua",
        "acme.uspacy.ua/",
        "acme.uspacy.ua/path",
        "acme.uspacy.ua:443",
        "acme.uspacy.ua:",
        "evil.com:80.uspacy.ua",
        "user@acme.uspacy.ua",
        "evil.com#.uspacy.ua",
        "evil.com?.uspacy.ua",
        "evil.com\\.uspacy.ua",
        "evil.com%2f.uspacy.ua",
        "{domain}.uspacy.ua",
        "acme.uspacy.ua.",
        "acme..uspacy.ua",
        ".acme.uspacy.ua",
        "-acme.uspacy.ua",
        "acme-.uspacy.ua",
        "ac_me.uspacy.ua",
        "*.uspacy.ua",
        " acme.uspacy.ua",
        "acme.uspacy.ua ",
        "acme.uspacy.ua\n",
        "ac\tme.uspacy.ua",
        "acme\x00.uspacy.ua",
        "acme\u3002uspacy.ua",  # an ideographic full stop
        "acme\uff0euspacy.ua",  # a full-width one
        "a\u0441me.uspacy.ua",  # a Cyrillic letter
        "\u212a.uspacy.ua",  # the Kelvin sign, whose lower case is k
        "acme.u\u017fpacy.ua",  # a long s, whose upper case is S
        "\u0661.uspacy.ua",  # an Arabic digit
        "acme\u200b.uspacy.ua",  # a zero-width space
        "\ud800.uspacy.ua",
        f"{'a' * 64}.uspacy.ua",
        f"{'a.' * 125}uspacy.ua",
    ],
)
def test_what_is_no_portals_bare_host_is_not_allowed(value: str) -> None:
    with pytest.raises(jwt.DomainNotAllowed):
        jwt.portal_host(value)


@given(st.text())
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_gives_a_host_or_is_not_allowed(text: str) -> None:
    try:
        host = jwt.portal_host(f"{text}.uspacy.ua")
    except jwt.DomainNotAllowed:
        return
    assert set(host) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")
    assert host == f"{text}.uspacy.ua".lower()


# Anything that is signed, or is not

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        [DOMAIN, "ACME.uspacy.ua", "other.uspacy.ua", "acme.evil.com", "HS256", "none", 0, -1, 2**63]
    ),
    lambda values: st.lists(values, max_size=2) | st.dictionaries(st.text(max_size=5), values, max_size=2),
    max_leaves=4,
)
headers = st.fixed_dictionaries(
    {"alg": st.just("HS256") | st.sampled_from(["none", "HS384", "HS512", "RS256", "ES256"]) | json_values},
    optional={
        "domain": st.just(DOMAIN) | json_values,
        "typ": json_values,
        "kid": json_values,
        "crit": json_values,
        "b64": json_values,
        "jku": st.just("https://evil.example.com/keys"),
        "jwk": st.just({"kty": "oct", "k": "c2VjcmV0"}),
    },
)
moments = st.integers(-(2**40), 2**40).map(lambda seconds: int(time.time()) + seconds) | json_values
bodies = st.fixed_dictionaries(
    {},
    optional={
        "exp": st.just(2**40) | moments,
        "iat": moments,
        "nbf": moments,
        "domain": st.just(DOMAIN) | json_values,
        "aud": json_values,
        "sub": json_values,
    },
)
HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


@given(headers, bodies, st.sampled_from([SECRET, OLD_SECRET, "", "another secret, which is long enough"]))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_token_is_verified_for_the_domain_it_names_or_refused(
    header: dict[str, Any], body: dict[str, Any], secret: str
) -> None:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, body)]
    algorithm = header["alg"] if isinstance(header["alg"], str) else ""
    mac = hmac.digest(secret.encode(), b".".join(parts), HASHES.get(algorithm, hashlib.sha256))
    text = b".".join([*parts, base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode()
    try:
        domain = jwt.verified_domain(text)
    except jwt.InvalidToken:
        return
    assert secret in (SECRET, OLD_SECRET)
    assert header["alg"] == "HS256"
    assert body["exp"] > time.time() - 61
    named = {part["domain"].lower() for part in (header, body) if "domain" in part}
    assert named == {domain}
    assert domain.endswith((".uspacy.ua", ".uspacy.com.br"))

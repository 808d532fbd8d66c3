"""What every endpoint of a portal's HTTP API shares: portal, headers, token, lock, error shapes."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from werkzeug.routing import RequestRedirect

from tests.simulators.contract import Check, RefusedError, record, sentences
from tests.simulators.uspacy.portal import Portal

if TYPE_CHECKING:
    from tests.simulators.world import World

View = Callable[..., ResponseReturnValue]


class Api:
    """Collects endpoints; each view gets the portal first and runs alone, under the world's lock."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.blueprint = Blueprint("uspacy", __name__, url_prefix="/uspacy/<domain>")
        self.blueprint.before_app_request(self._refuse_unknown_urls)

    def endpoint(self, method: str, rule: str, *, token: str = "access") -> Callable[[View], View]:
        """Register a view that takes this kind of Bearer `token`: access, refresh, none, or any."""

        def register(view: View) -> View:
            @functools.wraps(view)
            def run(domain: str, **path: Any) -> ResponseReturnValue:
                with self.world.lock:
                    portal = self._portal(domain)
                    if token != "any":
                        self._require_json_answer()
                    self._check_token(portal, token)
                    answer = view(portal, **path)
                    if method != "GET":
                        self.world.changed()
                    return answer

            self.blueprint.add_url_rule(rule, f"{method} {rule}".replace(".", "_"), run, methods=[method])
            return view

        return register

    def _refuse_unknown_urls(self) -> None:
        """Also a slash too many or too few: the real API is not known to redirect."""
        if not request.path.startswith("/uspacy/") or request.routing_exception is None:
            return
        wrong_slash = isinstance(request.routing_exception, RequestRedirect)
        problem = "the trailing slash is not as in the contract" if wrong_slash else "there is no such endpoint"
        raise RefusedError(404, {"message": f"Cannot {request.method} {request.path}"}, breach=problem)

    def _portal(self, domain: str) -> Portal:
        portal = self.world.uspacy.portals.get(domain)
        if portal is None:
            raise RefusedError(404, {"message": "Portal not found"}, breach="there is no such portal")
        return portal

    def _require_json_answer(self) -> None:
        if request.headers.get("Accept") != "application/json":
            raise invalid("the header Accept must be application/json")

    def _check_token(self, portal: Portal, kind: str) -> None:
        header = request.headers.get("Authorization")
        if kind == "none" and header is not None:
            raise invalid("this endpoint takes no Authorization header")
        if kind in ("none", "any"):
            return
        scheme, _, token = (header or "").partition(" ")
        if scheme != "Bearer" or not token:
            raise unauthorized(breach="a Bearer token is missing")
        if kind == "access" and not portal.tokens.accepts(token):
            raise unauthorized()


def unauthorized(*, breach: str | None = None) -> RefusedError:
    return RefusedError(401, {"message": "Unauthorized"}, breach=breach)


def missing(what: str, *, breach: bool = True) -> RefusedError:
    """404. Usually the app's mistake, as it may only name what it was told about."""
    return RefusedError(404, {"message": f"{what} not found"}, breach=f"{what} does not exist" if breach else None)


def invalid(*problems: str) -> RefusedError:
    """400 with the list of everything that is wrong, as validation answers it."""
    return RefusedError(400, {"message": list(problems)}, breach="; ".join(problems))


def taken(message: str) -> RefusedError:
    """400 for something that exists already; no breach, as a retry after a lost answer runs into it."""
    return RefusedError(400, {"message": message})


def duplicate_key(collection: str, index: str, value: str) -> RefusedError:
    """The database's own message, which is how the real API reports it (uspacy-api.md 7.2)."""
    return taken(
        f"E11000 duplicate key error collection: messenger.{collection} "
        f'index: {index}_1 dup key: {{ {index}: "{value}" }}'
    )


def json_body(check: Check) -> Any:
    """The request's JSON once it passed `check`."""
    if request.mimetype != "application/json":
        raise invalid("the content type must be application/json")
    body = request.get_json(silent=True)
    if problems := check(body):
        raise invalid(*sentences(problems))
    return body


def no_body() -> None:
    """For calls that send none; an empty JSON object or array counts as none."""
    if request.get_data().strip() not in (b"", b"{}", b"[]"):
        raise invalid("the body must be empty")


def query(required: dict[str, Check] | None = None, optional: dict[str, Check] | None = None) -> dict[str, str]:
    """The single-valued query parameters once they passed."""
    if problems := record(required or {}, optional)(request.args.to_dict()):
        raise invalid(*(f"query: {sentence}" for sentence in sentences(problems)))
    return request.args.to_dict()

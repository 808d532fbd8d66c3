"""Renewing tokens (uspacy-api.md 3). Errors have the shape of Uspacy's account service."""

import secrets

from flask import request
from flask.typing import ResponseReturnValue

from tests.simulators.contract import RefusedError, a_filled_text, record
from tests.simulators.uspacy.api import Api, json_body, no_body
from tests.simulators.uspacy.portal import Portal


def add_to(api: Api) -> None:
    @api.endpoint("POST", "/auth/v1/auth/refresh_token", token="refresh")
    def refresh_token(portal: Portal) -> ResponseReturnValue:
        no_body()
        token = request.headers["Authorization"].removeprefix("Bearer ")
        if not portal.tokens.use_refresh(token):
            raise refused("The refresh token is invalid")
        return portal.tokens.mint()

    @api.endpoint("POST", "/auth/v1/auth/app_sign_in", token="none")
    def app_sign_in(portal: Portal) -> ResponseReturnValue:
        given = json_body(record({"client_id": a_filled_text, "client_secret": a_filled_text}))
        expected = (api.world.client_id, api.world.client_secret)
        known = all(map(secrets.compare_digest, (given["client_id"], given["client_secret"]), expected))
        if not known or not portal.installed or not portal.sign_in_allowed:
            raise refused("The provided credentials are invalid")
        return portal.tokens.mint()


def refused(reason: str) -> RefusedError:
    return RefusedError(401, {"errors": {"text": [reason]}, "status": True})

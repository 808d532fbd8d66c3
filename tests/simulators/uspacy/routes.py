"""The HTTP API of every portal, under ``/uspacy/<domain>``."""

from typing import TYPE_CHECKING

from flask import Blueprint

from tests.simulators.uspacy import auth_endpoints, file_endpoints, line_endpoints, message_endpoints
from tests.simulators.uspacy.api import Api

if TYPE_CHECKING:
    from tests.simulators.world import World


def routes(world: "World") -> Blueprint:
    api = Api(world)
    for endpoints in (auth_endpoints, line_endpoints, message_endpoints, file_endpoints):
        endpoints.add_to(api)
    return api.blueprint

"""Files of messages (uspacy-api.md 8), and their content at the `url` the upload answers."""

import re

from flask import request
from flask.typing import ResponseReturnValue

from tests.simulators.contract import a_uuid, one_of, record, sentences
from tests.simulators.media import file_response
from tests.simulators.uspacy.api import Api, invalid, missing, no_body, query, unauthorized
from tests.simulators.uspacy.portal import INTEGRATION_USER, Json, Portal

ENTITY = {"entityType": one_of("chat_message"), "entityId": a_uuid}


def add_to(api: Api) -> None:
    @api.endpoint("POST", "/files/v1/files")
    def upload(portal: Portal) -> ResponseReturnValue:
        check_upload()
        entity_id, base_url = request.form["entityId"], api.world.base_url
        files = [
            portal.add_file(part.filename or "", part.read(), entity_id, INTEGRATION_USER, base_url)
            for _, part in request.files.items(multi=True)
        ]
        return {"data": files}, 201

    @api.endpoint("GET", "/files/v1/files")
    def list_files(portal: Portal) -> ResponseReturnValue:
        entity = query(ENTITY)
        return {"data": [file for file in portal.files.values() if file["entityId"] == entity["entityId"]]}

    @api.endpoint("GET", "/files/v1/files/<int:file_id>")
    def read_file(portal: Portal, file_id: int) -> ResponseReturnValue:
        query()
        return find_file(portal, file_id)

    @api.endpoint("DELETE", "/files/v1/files/<int:file_id>")
    def delete_file(portal: Portal, file_id: int) -> ResponseReturnValue:
        no_body()
        find_file(portal, file_id)
        del portal.files[file_id], portal.contents[file_id]
        return "", 204

    @api.endpoint("GET", "/files/content/<int:file_id>/<path:name>", token="any")
    def content(portal: Portal, file_id: int, name: str) -> ResponseReturnValue:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if portal.files_need_token and not portal.tokens.accepts(token):
            raise unauthorized()
        if find_file(portal, file_id)["originalFilename"] != name:
            raise missing("File")
        return file_response(name, portal.contents[file_id])


def find_file(portal: Portal, file_id: int) -> Json:
    if file_id not in portal.files:
        raise missing("File")
    return portal.files[file_id]


def check_upload() -> None:
    """multipart/form-data with the entity, and parts named ``files[]`` or ``files[0]``, ``files[1]``, ..."""
    if request.mimetype != "multipart/form-data":
        raise invalid("the content type must be multipart/form-data")
    fields = request.form.to_dict()
    if fields.get("entity_id") == fields.get("entityId"):
        fields.pop("entity_id", None)  # both spellings may be sent together
    problems = sentences(record(ENTITY)(fields))
    if not request.files:
        problems.append("there is no file in the body")
    for name, part in request.files.items(multi=True):
        if not re.fullmatch(r"files\[\d*\]", name):
            problems.append(f"{name} is not a name for a file part")
        if not part.filename:
            problems.append(f"{name} has no filename")
    if problems:
        raise invalid(*problems)

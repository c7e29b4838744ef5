"""`/v1/files`: uploaded bytes."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import TypeAdapter, ValidationError

from api import presenting
from api.deps import FileId, Reader, StateDep, Writer, fingerprinted
from api.upload import Received, UploadLimits, received
from api.wire.files import FileDeleted, FileObject, FilePurpose, FilesQuery
from api.wire.pages import Page
from indexes.catalog import files
from indexes.catalog.pages import Cursor
from indexes.errors import InvalidRequest
from ingestion.erase import file_key
from ingestion.intake import Upload

router = APIRouter(prefix="/v1/files", tags=["files"])
_PURPOSE: TypeAdapter[FilePurpose] = TypeAdapter(FilePurpose)
_FIELDS = {"purpose", "expires_after[anchor]", "expires_after[seconds]"}
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "purpose"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "The bytes, with a file name."},
                        "purpose": TypeAdapter(FilePurpose).json_schema(),
                        "expires_after[anchor]": {"const": "created_at"},
                        "expires_after[seconds]": {"type": "integer", "minimum": 3600, "maximum": 2592000},
                    },
                }
            }
        },
    }
}


@router.post("", openapi_extra=_BODY)
async def upload_file(
    request: Request,
    state: StateDep,
    caller: Writer,
    idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
) -> FileObject:
    """Upload a file. When this returns, its bytes are safe on disk."""
    server = state.settings.server
    limits = UploadLimits(server.max_upload_bytes, server.min_free_bytes)
    async with state.uploads, received(request, state.incoming, limits) as file:
        upload = _upload(file)
        content = repr((file.sha256, upload.filename, sorted(file.fields.items()))).encode()
        again = fingerprinted(request, idempotency_key, content) if idempotency_key else None
        return presenting.file(await state.intake.upload(caller.project, upload, again))


@router.get("")
async def list_files(state: StateDep, caller: Reader, query: Annotated[FilesQuery, Query()]) -> Page[FileObject]:
    """The project's files."""
    cursor = Cursor(query.limit, query.order, query.after, query.before)
    async with state.database.read() as session:
        page = await files.listing(session, caller.project, query.purpose, cursor)
    return Page.of([presenting.file(row) for row in page.rows], has_more=page.has_more)


@router.get("/{file_id}")
async def get_file(state: StateDep, caller: Reader, file_id: FileId) -> FileObject:
    """One file."""
    async with state.database.read() as session:
        return presenting.file(await files.get(session, caller.project, file_id))


@router.get("/{file_id}/content", response_class=StreamingResponse, responses=_BYTES)
async def get_file_content(state: StateDep, caller: Reader, file_id: FileId) -> StreamingResponse:
    """The bytes of a file, as they were uploaded."""
    async with state.database.read() as session:
        row = await files.get(session, caller.project, file_id)
    pieces = await asyncio.to_thread(state.blobs.stream, file_key(row.id))
    headers = {"content-length": str(row.bytes), "content-disposition": "attachment"}
    return StreamingResponse(_pieces(pieces), media_type="application/octet-stream", headers=headers)


@router.delete("/{file_id}")
async def delete_file(state: StateDep, caller: Writer, file_id: FileId) -> FileDeleted:
    """Delete a file, and everything made from it in every store. The receipt says what was verified gone."""
    async with state.database.read() as session:
        row = await files.get(session, caller.project, file_id)
    return FileDeleted(id=file_id, receipt=presenting.receipt(await state.intake.delete_file(row)))


def _upload(file: Received) -> Upload:
    for name in file.fields:
        if name not in _FIELDS:
            raise InvalidRequest(
                f"`{name}` is not a field of an upload. Leave it out.", code="unknown_parameter", param=name
            )
    try:
        purpose = _PURPOSE.validate_python(file.fields.get("purpose"))
    except ValidationError as error:
        raise InvalidRequest(
            "`purpose` is missing or unknown. Send `assistants` or `user_data`.", param="purpose"
        ) from error
    filename = (file.filename or "").replace("\\", "/").rsplit("/", 1)[-1].strip()
    if not filename or len(filename) > 255 or any(character < " " or character == "\x7f" for character in filename):
        raise InvalidRequest("The file needs a name of 1 to 255 printable characters.", param="file")
    return Upload(file.path, file.sha256, file.bytes, filename, purpose, _expires_at(file.fields))


def _expires_at(fields: dict[str, str]) -> float | None:
    seconds = fields.get("expires_after[seconds]")
    if seconds is None:
        return None
    anchor: Literal["created_at"] | str = fields.get("expires_after[anchor]", "created_at")
    if anchor != "created_at" or not seconds.isdecimal() or len(seconds) > 9 or not 3600 <= int(seconds) <= 2_592_000:
        raise InvalidRequest(
            "`expires_after` takes the anchor `created_at` and 3600 to 2592000 seconds.", param="expires_after"
        )
    return time.time() + int(seconds)


async def _pieces(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece

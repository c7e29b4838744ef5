"""Pictures of text are ingested where a recogniser is installed and the settings want it."""

import asyncio
import io
import shutil
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont
from sqlalchemy import select

from api.state import Storage, working
from indexes.catalog.tables import File, Revision, RevisionState
from ingestion.parse import PARSER_VERSION

pytestmark = pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed")


def picture(words: str) -> bytes:
    page, buffer = Image.new("L", (1240, 400), 255), io.BytesIO()
    ImageDraw.Draw(page).text((100, 100), words, fill=0, font=ImageFont.load_default(40))
    page.save(buffer, "PNG")
    return buffer.getvalue()


async def ended(storage: Storage, file: File) -> Revision:
    async with asyncio.timeout(30):
        while True:
            async with storage.database.read() as session:
                revision = (await session.scalars(select(Revision).where(Revision.file_id == file.id))).one()
            if revision.state != RevisionState.PENDING:
                return revision
            await asyncio.sleep(0.05)


async def test_the_setting_decides_and_texts_are_told_apart(ingest: Any, storage: Storage) -> None:
    store, scan = await ingest.store(), picture("Leave is thirty days.")
    unread = storage.settings.model_copy(update={"worker": storage.settings.worker.model_copy(update={"ocr": "off"})})
    async with working(replace(storage, settings=unread)):
        plain = await ended(storage, await ingest.attach(store, "a.md", "Plain words."))
        failed = await ended(storage, await ingest.attach(store, "scan.png", scan))
    assert (failed.error_code, plain.parser) == ("no_text_layer", PARSER_VERSION)
    async with working(storage):
        again = await ended(storage, await ingest.attach(store, "scan.png", scan))
        assert (again.id, again.state, again.parser) == (failed.id, RevisionState.CURRENT, f"{PARSER_VERSION}+ocr-eng")
        assert "OCR" in again.warnings[0]

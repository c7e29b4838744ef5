"""What a crash leaves between bytes and their row is swept; a home has one owner of what cannot be shared."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from api.state import Storage, working
from indexes.blobs import Blobs, blob_key, open_blobs
from indexes.errors import SettingsError
from indexes.settings import BlobSettings
from ingestion.erase import file_key, text_key
from ingestion.sweep import GRACE_S, Sweeper
from ingestion.valkey import Valkey

ROOT = Path(__file__).parents[2]
LONG_AGO_S = GRACE_S + 600
# Read by Python at its start: the service dies at the worst moment of an upload.
DIES_BEFORE_THE_ROW = """
import os, signal, sys
if "serve" in sys.orig_argv:
    from indexes.blobs import DirectoryBlobs
    add = DirectoryBlobs.add
    def add_and_die(self, source, key):
        add(self, source, key)
        os.kill(os.getpid(), signal.SIGKILL)
    DirectoryBlobs.add = add_and_die
"""


def blobs_of(home: Path, area: str) -> set[Path]:
    return {path for path in (home / "blobs" / area).rglob("*") if path.is_file()}


def upload(service: Any, name: str) -> None:
    headers = {"Authorization": f"Bearer {service.key}"}
    files = {"file": (name, b"Some text.")}
    httpx.post(f"{service.url}/v1/files", data={"purpose": "assistants"}, files=files, headers=headers)


def test_bytes_of_an_upload_that_was_never_acknowledged_are_swept(make_service: Any, tmp_path: Path) -> None:
    service = make_service(CITEWELL_EMBEDDING__MODEL="hashing-256")
    upload(service, "kept.txt")
    kept = blobs_of(service.home, "files")
    service.stop()
    (tmp_path / "sitecustomize.py").write_text(DIES_BEFORE_THE_ROW)
    service.environment["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{ROOT}"
    service.start()
    with pytest.raises(httpx.HTTPError):
        upload(service, "lost.txt")
    service.kill()  # it is dead: only its process id is given back
    (orphan,) = blobs_of(service.home, "files") - kept
    half = service.home / "blobs" / "incoming" / "upload-half"
    half.write_bytes(b"So")
    for path in (orphan, half, *kept):
        os.utime(path, (time.time() - LONG_AGO_S,) * 2)
    young = service.home / "blobs" / file_key("file-young")
    young.parent.mkdir(parents=True, exist_ok=True)
    young.write_bytes(b"Its row may come at any moment.")

    del service.environment["PYTHONPATH"]
    service.start()
    deadline = time.monotonic() + 30
    while orphan.exists() or half.exists():
        assert time.monotonic() < deadline, "nobody swept"
        time.sleep(0.05)
    assert blobs_of(service.home, "files") == {*kept, young}


@pytest.fixture(params=["directory", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "directory":
        return open_blobs(BlobSettings(url=str(tmp_path / "blobs")), tmp_path)
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    request.addfinalizer(server.stop)
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    httpx.put(f"{endpoint}/documents").raise_for_status()
    secret = SecretStr("test")
    return open_blobs(
        BlobSettings(
            url="s3://documents/prefix",
            endpoint=endpoint,
            region="us-east-1",
            access_key_id=secret,
            secret_access_key=secret,
        ),
        tmp_path,
    )


async def test_only_what_no_row_tells_of_is_swept_and_only_from_a_storage_of_ones_own(
    ingest: Any, storage: Storage, blobs: Blobs
) -> None:
    async with working(storage):
        store = await ingest.store()
        file = await ingest.attach(store, "a.txt", "The gate opens at six.")
        await ingest.completed(store, file)
    mine = list(storage.blobs.older("files", time.time() + 1)) + list(storage.blobs.older("texts", time.time() + 1))
    assert len(mine) == 2
    for key in mine:
        blobs.write(key, storage.blobs.read(key))
    orphans = [file_key("file-lost"), text_key("rev_lost"), *(file_key(f"file-{number}") for number in range(300))]
    for key in orphans:
        blobs.write(key, b"lost")
    stored = {*mine, *orphans}

    def left() -> set[str]:
        return {key for area in ("files", "texts") for key in blobs.older(area, time.time() + 60)}

    # A negative grace period reaches into the future: what was written just now is old enough.
    assert left() == stored
    assert await Sweeper(storage.database, blobs).once() == 0
    assert await Sweeper(storage.database, blobs, grace_s=-60).once() == 0, "no key, no name"
    await _make_key(storage)
    assert await Sweeper(storage.database, blobs, grace_s=-60).once() == len(orphans)
    assert left() == set(mine)

    blobs.write(blob_key("owner", "catalog"), b"key_another")
    blobs.write(orphans[0], b"theirs")
    assert await Sweeper(storage.database, blobs, grace_s=-60).once() == 0
    assert blobs.read(orphans[0]) == b"theirs"


async def _make_key(storage: Storage) -> None:
    from indexes.catalog import keys
    from indexes.catalog.tables import Role

    async with storage.database.write() as session:
        await keys.create(session, "admin", "p", Role.ADMIN)


async def test_one_queue_server_a_home(tmp_path: Path) -> None:
    first, second = Valkey(tmp_path / "queue"), Valkey(tmp_path / "queue")
    await first.start()
    with pytest.raises(SettingsError, match=r"queue\.url"):
        await second.start()
    await second.stop()
    await first.stop()
    again = Valkey(tmp_path / "queue")
    await again.start()
    await again.stop()


def test_a_home_in_use_is_refused_in_one_sentence_until_its_service_is_killed(
    make_service: Callable[..., Any],
) -> None:
    service = make_service(CITEWELL_EMBEDDING__MODEL="hashing-256", CITEWELL_ENGINE__KIND="exact")
    command = [sys.executable, "-m", "api.cli.main", "serve", "--port", "0", "--home", str(service.home)]
    environment = {**os.environ, **service.environment}
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode != 0
    assert f"Another service runs on {service.home}" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert httpx.get(f"{service.url}/readyz").status_code == 200
    service.kill()
    with contextlib.suppress(httpx.HTTPError):
        httpx.get(service.url)
    service.start()

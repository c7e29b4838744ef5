"""Compares what an installation holds and shows in the end with what it has acknowledged."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from indexes.lexical import Analyser
from indexes.manifest import Manifest
from tests.faults.acknowledged import GONE, SECTIONS, Client, Ledger, document, versions_in
from tests.faults.installation import Installation

_LEFT = "SELECT id, state FROM revisions WHERE state IN ('pending', 'deleted') OR (has_points AND state != 'current')"
_CURRENT = "SELECT id FROM revisions WHERE state = 'current'"
_RECOVERY_S = 90.0
_KEPT = ("ready", "live", "retired")


@dataclass
class Verdict:
    """Sentences on what is wrong."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    half_visible: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = (len(self.lost), len(self.doubled), len(self.half_visible), len(self.stuck))
        return "{} lost, {} doubled, {} half visible, {} stuck".format(*counts)


def unfinished(client: Client) -> list[str]:
    """Wait until no document is in progress; those that stay so."""
    return _until_none(lambda: client.of_store("GET", "/documents", params={"status": "in_progress"})["data"])


def verdict(installation: Installation, client: Client, ledger: Ledger, stuck: list[str]) -> Verdict:
    """Look at everything that is shown, then into the engine itself: the installation may be stopped."""
    found = Verdict(stuck=stuck)
    for key in ledger.entries:
        _judge_key(client, key, ledger, found)
    kept = {file["id"]: file["sha256"] for file in client.listed("/files")}
    for file_id, content in ledger.uploads.items():
        if kept.get(file_id) != hashlib.sha256(content).hexdigest():
            found.lost.append(f"the upload {file_id}")
    # What nobody may see is erased at once, or by the reconciler when a killed eraser's lease has ended.
    found.stuck += _until_none(lambda: installation.rows(_LEFT))
    _judge_texts(installation, found)
    chunk_ids = {
        chunk["id"]
        for each in client.of_store("GET", "/documents", params={"limit": 100})["data"]
        for chunk in client.of_store("GET", "/documents/chunks", params={"key": each["key"]})["data"]
    }
    kept = [one for one in client.of_store("GET", "/index_versions")["data"] if one["status"] in _KEPT]
    _judge_points(installation, kept, chunk_ids, found)
    return found


def _until_none(ask: Callable[[], list[Any]]) -> list[str]:
    deadline = time.monotonic() + _RECOVERY_S
    while (left := ask()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return [str(each) for each in left]


def _judge_key(client: Client, key: str, ledger: Ledger, found: Verdict) -> None:
    entry, hits = ledger.entries[key], client.search(key)
    shown = versions_in(hits) or {GONE}
    listed = client.of_store("GET", "/documents", params={"key": key})["data"]
    if len(hits) not in (0, SECTIONS) or len(shown) > 1 or len(listed) != (1 if hits else 0):
        found.half_visible.append(f"{key}: {len(hits)} chunks of {shown}, listed as {listed}")
        return
    version = shown.pop()
    if version not in entry.may_be():
        found.lost.append(f"{key} shows {version}, not one of {entry.may_be()}")
    attached: Counter[str] = Counter()
    for row in listed:
        attached.update([row["file_id"], *(each["file_id"] for each in row["superseded"])])
        content = client.call("GET", f"/files/{row['file_id']}/content").content
        if row["status"] != "completed" or content != document(key, version):
            found.lost.append(f"{key} shows {version}, and ended as {row}")
    found.doubled += [f"{key} was attached {count} times as {one}" for one, count in attached.items() if count > 1]
    found.lost += [f"{file_id} of the history of {key}" for file_id in entry.file_ids if file_id not in attached]


def _judge_texts(installation: Installation, found: Verdict) -> None:
    current = {row[0].removeprefix("rev_") for row in installation.rows(_CURRENT)}
    stored = {path.name for path in (installation.home / "blobs" / "texts").glob("*/*")}
    found.doubled += [f"the text {name} of what nobody may see" for name in stored - current]
    found.lost += [f"the text {name}" for name in current - stored]


def _judge_points(
    installation: Installation, versions: list[dict[str, Any]], chunk_ids: set[str], found: Verdict
) -> None:
    """In every version the points of current revisions, each once, and no others. All versions share their chunks."""
    with installation.engine() as engine:
        for version in versions:
            manifest = Manifest.from_json(version["manifest"])
            terms = Analyser(manifest.lexical).query("says")
            index = engine.open(version["id"], manifest)
            _judge_chunks(Counter(match.chunk_id for match in index.lexical(terms, 10_000)), chunk_ids, found)


def _judge_chunks(points: Counter[str], chunk_ids: set[str], found: Verdict) -> None:
    found.doubled += [f"{count} points of {one}" for one, count in points.items() if count > 1]
    found.doubled += [f"a point of {one}, which nobody may see" for one in points.keys() - chunk_ids]
    found.half_visible += [f"no point of {one}" for one in chunk_ids - points.keys()]

"""Every real document of the folder beside the checkout, held against its manifest: by the pool, and by a service.

Run with `-s` to see the figures.
"""

import asyncio
import contextlib
import csv
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from indexes.errors import DocumentError
from indexes.model import BlockKind, CanonicalText
from ingestion.children import Children
from ingestion.parse import Limits, artefact
from ingestion.parse.assemble import normalise
from ingestion.settings import WorkerSettings
from tests.faults.acknowledged import Client
from tests.faults.family import Family, lives, peak, watched
from tests.faults.installation import Door
from tests.faults.verdict import unfinished

WORKERS = 2
ASIDE = 2
SERVICE_BYTES = 400 << 20
"""For the service itself, with the hashing model, all documents, and the index of their chunks."""

# What the manifest's column `expected` means: how a document may end. No entry: as text.
ENDS = {
    "refuse": {"encrypted_file"},
    "refuse/policy": {"encrypted_file"},
    "refuse body": {"encrypted_file"},
    "refuse: encrypted": {"encrypted_file"},
    "refuse: encrypted (password: password)": {"encrypted_file"},
    "empty": {"empty_file"},
    "error, bounded memory": {"unsupported_file"},  # Compiled help has no parser.
    "error: type mismatch": {"invalid_file"},
    "partial or error": {"text", "invalid_file"},
    "error or partial": {"text", "invalid_file"},
    "text or error": {"text", "invalid_file"},
}
# Where the column says less than is known.
ENDS_OF_FILE = {
    # Pictures of text only.
    "good/double-column-A.jpg": {"no_text_layer"},
    "good/DA-1p.heic": {"no_text_layer"},
    "good/ocr_test.pdf": {"no_text_layer"},
    "good/ocr_test_rotated_180.pdf": {"no_text_layer"},
    "good/table-multi-row-column-cells.pdf": {"no_text_layer"},
    # A page that shows nothing but what is to be ignored: a film, a form of a dialect that PDFium leaves alone.
    "hostile/testFlashInPDF.pdf": {"no_text_layer"},
    "hostile/testPDF_malformedXFA.pdf": {"no_text_layer"},
    # One empty element, whose document type names a file that must not be read.
    "hostile/testXXE.xml": {"empty_file"},
    # The manifest expects text, but 1.1 MB in the middle of the file are zeros, and the page tree lies there.
    "hostile/unreadablemetadata.pdf": {"invalid_file"},
}
# Words that a text must have, and words that it must not.
SAYS = {
    "good/README-w-include.rst": ("", "root:"),
    "hostile/docx-named-pdf.pdf": ("favorite things", ""),
    "hostile/emoji.xlsx": ("\U0001f920", ""),
    "hostile/testBrokenHTMLContainingRFC822.html": ("An exciting subject", "<p"),
    "hostile/testHTML_embedded_data_uri_js.html": ("some content", "alert"),
    "hostile/testHTMLBadScript.html": ("", "script"),
    "hostile/testPDF_incrementalUpdates.pdf": ("Testing Incremental", ""),
    "hostile/testWORD_macros.docm": ("", "Sub "),
}
WARNS = {
    "hostile/invisible_text_layer.pdf": "does not see",
    "hostile/copy-protected.pdf": "not to copy",
}


def allowed_ends(folder: Path) -> dict[str, set[str]]:
    """How each file of the folder may end."""
    with (folder / "manifest.tsv").open(encoding="utf-8") as file:
        expected = {entry["file"]: entry["expected"] for entry in csv.DictReader(file, delimiter="\t")}
    assert set(expected) == {str(path.relative_to(folder)) for path in folder.glob("*/*")}
    return {name: ENDS_OF_FILE.get(name) or ENDS.get(said, {"text"}) for name, said in expected.items()}


def check(canonical: CanonicalText) -> None:
    """What holds of every canonical text."""
    text, end, page = canonical.text, 0, 0
    text.encode("utf-8")
    for block in canonical.blocks:
        shown = text[block.start : block.end]
        assert end <= block.start < block.end
        assert text[end : block.start] in ("", "\n", "\n\n")
        assert shown == normalise(shown, block.kind)
        assert (block.page or page) >= page >= 0, "pages go forward"
        assert block.box is None or block.page
        if block.kind is BlockKind.HEADING:
            assert shown.startswith(block.section[-1])
        end, page = block.end, block.page or page
    assert end == len(text)
    assert artefact.loads(artefact.dumps(canonical)) == canonical


async def outcome(pool: Children, path: Path) -> tuple[str, CanonicalText | None]:
    try:
        canonical = await pool.parse(path, path.name)
    except DocumentError as error:
        assert error.message.endswith(".")
        return error.code, None
    return "text", canonical


async def test_all_documents_end_as_their_manifest_expects(
    shared_data: Path, offspring: Callable[[], list[int]]
) -> None:
    folder = shared_data / "docs"
    allowed = allowed_ends(folder)
    pool = Children(workers=WORKERS)
    await pool.start()
    ends = dict(zip(allowed, await asyncio.gather(*(outcome(pool, folder / name) for name in allowed)), strict=True))
    used = [(peak(pid), peak(pid, "VmPeak")) for pid in offspring()]
    await pool.close()
    assert offspring() == []

    assert {name: end for name, (end, _) in ends.items() if end not in allowed[name]} == {}
    texts = {name: canonical for name, (_, canonical) in ends.items() if canonical is not None}
    for name, canonical in texts.items():
        check(canonical)
        needed, banned = SAYS.get(name, ("", ""))
        assert needed in canonical.text, name
        assert not banned or banned not in canonical.text, name
        assert WARNS.get(name, "") in " ".join(canonical.warnings), name
    assert WORKERS <= len(used) <= WORKERS + ASIDE
    assert all(resident < mapped < Limits().max_memory_bytes for resident, mapped in used)
    print(f"\n{len(ends)} documents, {len(texts)} with text; peaks of children, resident and mapped, in MiB:")
    print(*(f"{resident >> 20} and {mapped >> 20}" for resident, mapped in used), sep="; ")


def attach(client: Client, paths: Mapping[str, Path]) -> None:
    """As one batch, under the names given."""
    files = [{"file_id": client.upload(path.name, path.read_bytes()), "key": key} for key, path in paths.items()]
    client.of_store("POST", "/file_batches", json={"files": files})


def recognised(allowed: set[str]) -> set[str]:
    """The same where Tesseract, if it is installed, may read what is a picture of text."""
    return allowed | {"text"} if "no_text_layer" in allowed and shutil.which("tesseract") else allowed


def busy(family: Family) -> bool:
    """Whether a parser is at work; one that waits for a document sleeps."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return any(parser.status() == psutil.STATUS_RUNNING for parser in family.parsers())
    return False


def wait_until_parsed(client: Client, key: str, attempt: int, family: Family) -> None:
    """Until a parser is in the middle of a document."""
    deadline = time.monotonic() + 60
    while True:
        (document,) = client.of_store("GET", "/documents", params={"key": key})["data"]
        assert document["stage"] in ("received", "parsed")  # a parser cuts as well
        if document["attempts"] == attempt and busy(family):
            return
        assert time.monotonic() < deadline, "no parser reads anything"


def assert_idle(family: Family) -> None:
    """Nobody is left but the service, its queue server and its warm parsers, which hold no document.

    Beside the pool's places there may be those that slow documents went on in.
    """
    family.look()
    warm = [process for process in family.parsers() if lives(process)]
    assert len(warm) <= WorkerSettings().parsers + ASIDE
    assert len([process for process in family.peaks if lives(process)]) == len(warm) + 2
    assert not busy(family)


def assert_within_limits(family: Family) -> None:
    service, parsers = family.peaks[family.parent], [family.peaks[parser] for parser in family.parsers()]
    print(f"peaks in MiB: service {service >> 20}, parsers {', '.join(str(each >> 20) for each in parsers)}")
    assert service < SERVICE_BYTES
    assert max(parsers) < WorkerSettings().parse_memory_mb << 20


def test_a_service_ends_all_documents_and_every_child_with_its_job(
    shared_data: Path, tmp_path: Path, make_service: Callable[..., Any]
) -> None:
    allowed = allowed_ends(shared_data / "docs")
    long = tmp_path / "long.md"
    long.write_text("\n\n".join(f"# Part {number}\n\n{'Some words. ' * 50}" for number in range(12_000)))
    service = make_service(CITEWELL_EMBEDDING__MODEL="hashing-256", CITEWELL_WORKER__LEASE_S="2")
    door = Door(service.url, service.key)
    with contextlib.closing(Client(door)) as client, watched(service.pid) as family:
        store = client.create_store()
        attach(client, {name: shared_data / "docs" / name for name in allowed})
        assert unfinished(client) == []
        assert_idle(family)
        documents = {each["key"]: each for each in client.listed(f"/vector_stores/{client.store}/documents")}
        attach(client, {"long.md": long})
        wait_until_parsed(client, "long.md", 1, family)
        service.kill()
        assert family.left() == []
    ends = {name: (documents[name]["error"] or {"code": "text"})["code"] for name in allowed}
    assert {name: end for name, end in ends.items() if end not in recognised(allowed[name])} == {}
    assert_within_limits(family)
    service.start()
    with contextlib.closing(Client(door, store)) as client, watched(service.pid) as family:
        wait_until_parsed(client, "long.md", 2, family)
        assert service.stop() == 0
        assert family.left() == []

"""Every real document of the folder beside the checkout, through the real pool, held against its manifest.

Run with `-s` to see the figures.
"""

import asyncio
import csv
from collections.abc import Callable
from pathlib import Path

from indexes.errors import DocumentError
from indexes.model import BlockKind, CanonicalText
from ingestion.children import Children
from ingestion.parse import Limits, artefact
from ingestion.parse.assemble import normalise

WORKERS = 2

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


def peaks(pid: int) -> tuple[int, int]:
    """The most resident memory and address space that a process has had, in bytes."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    found = {line[0]: int(line[1]) * 1024 for line in lines if line[0] in ("VmHWM:", "VmPeak:")}
    return found["VmHWM:"], found["VmPeak:"]


async def test_all_documents_end_as_their_manifest_expects(
    shared_data: Path, offspring: Callable[[], list[int]]
) -> None:
    folder = shared_data / "docs"
    with (folder / "manifest.tsv").open(encoding="utf-8") as file:
        expected = {entry["file"]: entry["expected"] for entry in csv.DictReader(file, delimiter="\t")}
    assert set(expected) == {str(path.relative_to(folder)) for path in folder.glob("*/*")}
    pool = Children(workers=WORKERS)
    await pool.start()
    ends = dict(zip(expected, await asyncio.gather(*(outcome(pool, folder / name) for name in expected)), strict=True))
    used = [peaks(pid) for pid in offspring()]
    await pool.close()
    assert offspring() == []

    allowed = {name: ENDS_OF_FILE.get(name) or ENDS.get(said, {"text"}) for name, said in expected.items()}
    assert {name: end for name, (end, _) in ends.items() if end not in allowed[name]} == {}
    texts = {name: canonical for name, (_, canonical) in ends.items() if canonical is not None}
    for name, canonical in texts.items():
        check(canonical)
        needed, banned = SAYS.get(name, ("", ""))
        assert needed in canonical.text, name
        assert not banned or banned not in canonical.text, name
        assert WARNS.get(name, "") in " ".join(canonical.warnings), name
    assert len(used) == WORKERS
    assert all(resident < mapped < Limits().max_memory_bytes for resident, mapped in used)
    print(f"\n{len(ends)} documents, {len(texts)} with text; peaks of children, resident and mapped, in MiB:")
    print(*(f"{resident >> 20} and {mapped >> 20}" for resident, mapped in used), sep="; ")

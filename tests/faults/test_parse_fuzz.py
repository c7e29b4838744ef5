"""Files that nobody has thought of: seeded mutants of good ones, through the real children, from bytes to chunks.

`CITEWELL_FUZZ_SEED` repeats a run; `-m slow -s` makes thousands, of the real documents beside the checkout too.
"""

import asyncio
import gzip
import io
import os
import random
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest

from indexes.errors import DocumentError
from indexes.manifest import Chunking
from indexes.model import CanonicalText
from ingestion.children import Children
from ingestion.chunk import CHUNKER_VERSION
from ingestion.parse import Limits, artefact
from ingestion.parse.detect import CONTAINERS

ROOT = Path(__file__).parents[1]
# What a document may be refused with. A crash would be a parser that let something escape, or a native library.
CODES = {"empty_file", "encrypted_file", "unsupported_file", "invalid_file", "no_text_layer", "too_large"}
LIMITS = Limits(max_seconds=30, max_text_chars=1_000_000, max_expanded_bytes=64 << 20)
MAX_SEED_BYTES = 300_000
SUFFIXES = (".pdf", ".docx", ".xlsx", ".html", ".xml", ".md", ".csv", ".eml", ".rst", ".yaml", ".zip", ".msg", "")

Named = tuple[str, bytes]
Mutation = Callable[[random.Random, str, bytes], Named]


def spot(chance: random.Random, data: bytes, longest: int = 512) -> slice:
    start = chance.randrange(len(data) + 1)
    return slice(start, min(len(data), start + chance.randint(1, longest)))


def flipped(chance: random.Random, name: str, data: bytes) -> Named:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 4, 32))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return name, bytes(changed)


def truncated(chance: random.Random, name: str, data: bytes) -> Named:
    return name, data[: chance.randrange(len(data))]


def repeated(chance: random.Random, name: str, data: bytes) -> Named:
    part = spot(chance, data)
    return name, data[: part.stop] + data[part] * chance.choice((1, 3, 300)) + data[part.stop :]


def swapped(chance: random.Random, name: str, data: bytes) -> Named:
    a, b = sorted((spot(chance, data), spot(chance, data)), key=lambda part: part.start)
    middle = data[a.stop : b.start]
    return name, data[: a.start] + data[b] + middle + data[a] + data[max(a.stop, b.stop) :]


def zeroed(chance: random.Random, name: str, data: bytes) -> Named:
    part = spot(chance, data, 4096)
    return name, data[: part.start] + bytes(part.stop - part.start) + data[part.stop :]


def overstated(chance: random.Random, name: str, data: bytes) -> Named:
    """Some numbers are now others: counts, sizes, spans, levels, places."""
    others = (b"-1", b"0", b"65536", b"2147483648", b"99999999999999999999", b"1e308", b"NaN")
    share = chance.choice((0.01, 0.2))
    return name, re.sub(rb"\d+", lambda at: chance.choice(others) if chance.random() < share else at[0], data)


def misnamed(chance: random.Random, name: str, data: bytes) -> Named:
    return Path(name).stem + chance.choice(SUFFIXES), data


def nested(chance: random.Random, name: str, data: bytes) -> Named:
    """Far too deep: marks of text formats around it, or archives."""
    if chance.random() < 0.3:
        for level in range(chance.choice((3, 12))):
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w") as archive:
                archive.writestr(f"{level}-{name}", data)
            data = packed.getvalue() if chance.random() < 0.8 else gzip.compress(data)
        return "deep.zip", data
    opening, closing = chance.choice(
        [
            (b"<div>", b"</div>"), (b"<table><tr><td>", b"</td></tr></table>"), (b"<a>", b""), (b"> ", b""),
            (b"[", b"]"), (b"- ", b""), (b"{\\b ", b"}"), (b"((", b"))"), (b"<ul><li>", b""), (b"* ", b""),
        ]
    )  # fmt: skip
    depth, at = chance.choice((50, 3_000)), chance.randrange(len(data) + 1)
    return name, data[:at] + opening * depth + data[at:] + closing * depth


def rezipped(chance: random.Random, name: str, data: bytes) -> Named:
    """Members of a zip container mutated inside, renamed, left out, exchanged or twice there."""
    members: list[Named] = []
    with suppress(Exception), zipfile.ZipFile(io.BytesIO(data)) as archive:  # It may be broken already.
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    if not members:
        return flipped(chance, name, data)
    at, other = chance.randrange(len(members)), chance.randrange(len(members))
    (member, content), (_, foreign) = members[at], members[other]
    match chance.randrange(8):
        case 0:
            del members[at]
        case 1:
            members[at] = chance.choice(("../up.xml", "/root.xml", f"{member}x", "a" * 60_000, "\x01\n")), content
        case 2:
            members[at] = member, foreign
        case 3:
            members.append((member, foreign))
        case _ if content:
            members[at] = member, chance.choice(INSIDE)(chance, member, content)[1]
    packed = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # One name twice is meant.
        for member, content in members:
            archive.writestr(member, content)
    return name, packed.getvalue()


INSIDE: tuple[Mutation, ...] = (flipped, truncated, repeated, swapped, zeroed, overstated)
MUTATIONS: tuple[Mutation, ...] = (*INSIDE, misnamed, nested, rezipped, rezipped)


def made() -> Iterator[Named]:
    """Documents of the libraries that write Office files."""
    for name, new in (("a.docx", docx.Document), ("a.xlsx", openpyxl.Workbook), ("a.pptx", pptx.Presentation)):
        document, out = new(), io.BytesIO()
        if name == "a.docx":
            document.add_heading("Travel", 1)
            document.add_table(3, 3).cell(0, 0).text = "Place"
        elif name == "a.xlsx":
            document.active.append(["Place", 1, 2.5, True])
        else:
            document.slides.add_slide(document.slide_layouts[1]).shapes.title.text = "Travel"
        document.save(out)
        yield name, out.getvalue()


def seeds(folder: Path | None) -> list[Named]:
    own = [path for path in (ROOT / "golden" / "parse").iterdir() if path.suffix not in (".py", ".expected")]
    own += (ROOT / "data").rglob("*.*")
    real = folder.rglob("*.*") if folder is not None else ()
    small = sorted(path for path in (*own, *real) if path.is_file() and path.stat().st_size <= MAX_SEED_BYTES)
    return [*((path.name, path.read_bytes()) for path in small), *made()]


def mutants(seed: int, count: int, folder: Path | None) -> Iterator[tuple[str, Named]]:
    """What was done to which file, and what came of it."""
    chance, good = random.Random(seed), seeds(folder)
    for number in range(count):
        name, data = chance.choice(good)
        done = [chance.choice(MUTATIONS) for _ in range(chance.choice((1, 1, 2)))]
        story = f"{seed}/{number}: {name}: {', '.join(mutation.__name__ for mutation in done)}"
        for mutation in done:
            name, data = mutation(chance, name, data or b"\n")
        yield story, (name, data)


def check(canonical: CanonicalText) -> None:
    assert 0 < len(canonical.text) <= LIMITS.max_text_chars
    ends = [0, *(block.end for block in canonical.blocks)]
    assert all(end <= block.start < block.end for end, block in zip(ends, canonical.blocks, strict=False))
    assert ends[-1] == len(canonical.text)
    assert artefact.loads(artefact.dumps(canonical)) == canonical


async def outcome(pool: Children, name: str, path: Path, into: Path) -> str:
    """`text`, or the code of the refusal."""
    try:
        canonical = await pool.parse(path, name)
        check(canonical)
        spans = await pool.chunk(canonical, CHUNKER_VERSION, Chunking(128, 16), None)
        assert spans
        if canonical.media_type in CONTAINERS:
            into.mkdir()
            unpacked = await pool.unpack(path, name, into)
            assert all(
                part.path.parent == into and part.path.stat().st_size for part in unpacked.parts if part.size_bytes
            )
    except DocumentError as error:
        assert error.message.endswith("."), error.message
        return error.code
    return "text"


async def survive(seed: int, count: int, folder: Path | None, scratch: Path) -> None:
    print(f"\nCITEWELL_FUZZ_SEED={seed}, {count} mutants")
    found: Counter[str] = Counter()
    escaped: list[str] = []
    pool = Children(workers=2, limits=LIMITS)
    stream = mutants(seed, count, folder)

    async def work(worker: int) -> None:
        for number, (story, (name, data)) in enumerate(stream):
            path = scratch / f"{worker}"
            path.write_bytes(data)
            code = await outcome(pool, name, path, scratch / f"{worker}-{number}")
            found[code] += 1
            if code not in CODES | {"text"}:
                escaped.append(f"{code}: {story}")
                path.rename(scratch / f"escaped-{len(escaped)}-{Path(name).name[-40:]}")

    try:
        await asyncio.gather(work(0), work(1))
    finally:
        await pool.close()
    print(dict(found), *escaped, sep="\n")
    assert found.total() == count
    assert escaped == [], f"kept in {scratch}"


def chosen_seed(default: int) -> int:
    return int(os.environ.get("CITEWELL_FUZZ_SEED", default))


async def test_mutants_end_as_text_or_are_refused(tmp_path: Path) -> None:
    await survive(chosen_seed(20), 60, None, tmp_path)


@pytest.mark.slow
async def test_thousands_of_mutants_of_real_documents(tmp_path: Path, shared_data: Path) -> None:
    count = int(os.environ.get("CITEWELL_FUZZ_COUNT", 3_000))
    await survive(chosen_seed(random.randrange(1 << 30)), count, shared_data / "docs", tmp_path)

"""The pool of parser children: what a document can do to it, and what not. A FIFO is a document that never ends."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pptx
import pytest

from indexes.errors import DocumentError, Unavailable
from ingestion.children import Children
from ingestion.parse import Limits, frames, parse

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def children() -> AsyncIterator[Children]:
    pool = Children(workers=1)
    yield pool
    await pool.close()


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "document"
    path.write_text("# Title\n\nSome text.")
    return path


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    path = tmp_path / "endless"
    os.mkfifo(path)
    return path


@pytest.fixture
def a_new_child(offspring: Callable[[], list[int]]) -> Callable[..., Awaitable[int]]:
    """Waits for the process id of the pool's child once it is another than `known`."""

    async def find(known: int | None = None) -> int:
        while not (pids := [pid for pid in offspring() if pid != known]):
            await asyncio.sleep(0.01)
        return pids[0]

    return find


@pytest.fixture
def a_reader(endless: Path) -> Iterator[Callable[[], Awaitable[None]]]:
    """Waits until a child is in the middle of the endless document."""
    ends: list[int] = []

    async def find() -> None:
        before = len(ends)
        while len(ends) == before:
            with contextlib.suppress(OSError):  # nobody reads yet
                ends.append(os.open(endless, os.O_WRONLY | os.O_NONBLOCK))
            await asyncio.sleep(0.01)

    yield find
    for end in ends:
        os.close(end)


async def test_a_child_answers_as_the_parser_does(children: Children, document: Path) -> None:
    await children.start()
    assert await children.parse(document, "a.md") == parse(document, "a.md")
    with pytest.raises(DocumentError) as caught:
        await children.parse(document, "a.docx")
    assert caught.value.code == "invalid_file"


async def test_more_callers_than_workers_take_turns(document: Path, offspring) -> None:
    pool = Children(workers=2)
    results = await asyncio.gather(*(pool.parse(document, "a.md") for _ in range(12)))
    assert len({result.text for result in results}) == 1
    assert len(offspring()) == 2
    await pool.close()
    assert offspring() == []


async def test_a_document_that_hangs_fails_alone(endless: Path, document: Path) -> None:
    pool = Children(workers=1, limits=Limits(max_seconds=5.0))
    first, second = await asyncio.gather(
        pool.parse(endless, "a.md"), pool.parse(document, "a.md"), return_exceptions=True
    )
    assert isinstance(first, DocumentError)
    assert first.code == "parse_timeout"
    assert not isinstance(second, BaseException)
    await pool.close()


async def test_a_document_that_eats_memory_fails_alone(tmp_path: Path, document: Path) -> None:
    pool = Children(workers=1, limits=Limits(max_memory_bytes=400 << 20))
    greedy = tmp_path / "greedy"
    with greedy.open("wb") as file:
        file.write(b"word " * 2000)
        file.truncate(600 << 20)  # The rest are zeros that take no room on the disk.
    with pytest.raises(DocumentError) as caught:
        await pool.parse(greedy, "a.csv")
    assert caught.value.code == "parse_memory"
    assert (await pool.parse(document, "a.md")).title == "Title"
    await pool.close()


async def test_a_crash_is_tried_once_more_on_a_fresh_child(
    children: Children, endless: Path, a_new_child, a_reader
) -> None:
    job = asyncio.create_task(children.parse(endless, "a.md"))
    first = await a_new_child()
    await a_reader()
    os.kill(first, signal.SIGSEGV)
    second = await a_new_child(first)
    await a_reader()
    os.kill(second, signal.SIGSEGV)
    with pytest.raises(DocumentError) as caught:
        await job
    assert caught.value.code == "parse_crashed"


async def test_a_child_that_dies_before_it_takes_the_document_blames_none(
    children: Children, document: Path, a_new_child
) -> None:
    job = asyncio.create_task(children.parse(document, "a.md"))
    os.kill(await a_new_child(), signal.SIGKILL)
    with pytest.raises(Unavailable):
        await job
    assert (await children.parse(document, "a.md")).title == "Title"


async def test_one_crash_is_forgiven(children: Children, endless: Path, a_new_child, a_reader) -> None:
    job = asyncio.create_task(children.parse(endless, "a.md"))
    first = await a_new_child()
    await a_reader()
    # The first child waits for more; its successor finds an ordinary file in the same place.
    endless.unlink()
    endless.write_text("# Late\n\nbut whole")
    os.kill(first, signal.SIGSEGV)
    assert (await job).title == "Late"


async def test_a_cancelled_job_frees_its_place(children: Children, endless: Path, document: Path, a_new_child) -> None:
    job = asyncio.create_task(children.parse(endless, "a.md"))
    await a_new_child()
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert (await children.parse(document, "a.md")).title == "Title"


async def test_closing_blames_no_document(endless: Path, document: Path, a_new_child, offspring) -> None:
    pool = Children(workers=1)
    jobs = [asyncio.create_task(pool.parse(path, "a.md")) for path in (endless, document)]
    await a_new_child()
    await pool.close()
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable, Unavailable]
    assert offspring() == []


async def test_a_missing_file_blames_no_document(children: Children, tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        await children.parse(tmp_path / "gone", "a.md")


async def test_slides_are_read_with_their_notes(children: Children, tmp_path: Path) -> None:
    deck = pptx.Presentation()
    for number, title in enumerate(("Plan", "")):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = f"If not now, when? {number}"
    slide.notes_slide.notes_text_frame.text = "Speak slowly."
    rates = slide.shapes.add_table(60, 2, 0, 0, 100, 100).table
    slide._element.set("show", "0")
    for number, row in enumerate([("Place", "Rate"), *[("Rome", "7")] * 59]):
        rates.cell(number, 0).text, rates.cell(number, 1).text = row
    path = tmp_path / "deck"
    deck.save(path)
    canonical = await children.parse(path, "deck.pptx")
    found = [(block.page, block.section, canonical.text[block.start : block.end]) for block in canonical.blocks]
    tables = [part for part in found if "|" in part[2]]
    assert len(tables) > 1
    assert all(text.startswith("Place | Rate\nRome | ") for _, _, text in tables)
    assert "hidden slides (page 2)" in canonical.warnings[0]
    assert [part for part in found if part not in tables] == [
        (1, ("Plan",), "Plan"),
        (1, ("Plan",), "If not now, when? 0"),
        (2, (), "If not now, when? 1"),
        (2, (), "Speak slowly."),
    ]


def test_what_libraries_print_does_not_reach_the_pipe() -> None:
    noisy = (
        "import os; from ingestion.parse import child;"
        "child.COMMANDS['noise'] = lambda _: (print('noise', flush=True), os.write(1, b'noise'), input)[0];"
        "child.main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", noisy, str(os.getpid()), str(2 << 30)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    ) as process:
        assert frames.read(process.stdout) == {"ready": True}
        frames.write(process.stdin, {"command": "noise"})
        assert frames.read(process.stdout) == {"result": None}
        process.stdin.close()
        assert process.stdout.read() == b""


@pytest.mark.parametrize(
    "attempt",
    [
        "__import__('socket').create_connection(('127.0.0.1', 9))",
        "__import__('subprocess').run(['true'])",
        "__import__('os').system('true')",
    ],
)
def test_a_parser_can_neither_connect_nor_start_a_program(attempt: str) -> None:
    code = f"import os; from ingestion.parse import child; child._confine(os.getppid(), 2 << 30); {attempt}"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "PermissionError: a parser may not" in run.stderr


def test_no_child_outlives_a_killed_parent(endless: Path) -> None:
    code = f"""
import asyncio, pathlib
from ingestion.children import Children
async def main():
    pool = Children()
    await pool.start()
    print(next(iter(pool._running)).process.pid, flush=True)
    await pool.parse(pathlib.Path({str(endless)!r}), "a.md")
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        child = Path("/proc") / parent.stdout.readline().strip()
        assert child.exists()
        parent.kill()
    deadline = time.monotonic() + 30
    while child.exists() and "Z" not in (child / "stat").read_text().rpartition(")")[2][:3]:
        assert time.monotonic() < deadline
        time.sleep(0.01)

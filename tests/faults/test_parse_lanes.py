"""Nobody waits behind a document that takes long. A FIFO is a document that never ends."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from indexes.errors import CitewellError
from ingestion.children import Children
from ingestion.parse import Limits


def endless(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"endless{number}" for number in range(count)]
    for path in paths:
        os.mkfifo(path)
    return paths


async def once(pool: Children, path: Path) -> str:
    try:
        await pool.parse(path, f"{path.name}.md")
    except CitewellError as error:
        return error.code
    return "read"


async def outcome(pool: Children, path: Path) -> str:
    """What becomes of a document that is tried again while it is put off, as the pipeline does."""
    while (code := await once(pool, path)) == "parse_deferred":
        await asyncio.sleep(0.05)
    return code


async def test_the_healthy_pass_those_that_never_end(tmp_path: Path, offspring: Callable[[], list[int]]) -> None:
    pool = Children(workers=1, limits=Limits(max_seconds=6.0))
    healthy = tmp_path / "healthy"
    healthy.write_text("# Title\n\nSome text.")
    paths = endless(tmp_path, 3)
    slow = [asyncio.create_task(outcome(pool, path)) for path in paths]
    done = await asyncio.gather(*(outcome(pool, healthy) for _ in range(20)))
    assert done == ["read"] * 20
    assert sum(not task.done() for task in slow) >= 1, "they waited for the one that came last"
    # One place, and two that went on beside it: the third has its turn when they are at their end.
    assert len(offspring()) <= 3
    assert await asyncio.gather(*slow) == ["parse_timeout"] * 3
    await pool.close()
    assert offspring() == []


async def test_a_pool_that_is_closed_meanwhile_leaves_nobody(
    tmp_path: Path, offspring: Callable[[], list[int]]
) -> None:
    pool = Children(workers=2, limits=Limits(max_seconds=3.0))
    jobs = [asyncio.create_task(outcome(pool, path)) for path in endless(tmp_path, 5)]
    await asyncio.sleep(1)  # some have stepped aside, some wait
    await pool.close()
    assert set(await asyncio.gather(*jobs)) == {"unavailable"}
    assert offspring() == []

"""When work will be done: one small function."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.catalog.progress import Line, Pace
from ingestion.estimate import eta_s

PACE = Pace(chunks=300, elapsed_s=60, chunks_per_file=10)


@pytest.mark.parametrize(
    ("line", "pace", "expected"),
    [
        (Line(50, 0), PACE, 10.0),
        (Line(50, 5), PACE, 20.0),  # five files that are not cut yet, of the usual ten chunks
        (Line(0, 0), PACE, 0.0),
        (Line(50, 0), None, None),
        (None, PACE, None),
        (Line(50, 0), Pace(0, 60, 0), None),
        (Line(50, 0), Pace(10, 0, 10), None),
    ],
)
def test_work_left_by_measured_speed(line: Line | None, pace: Pace | None, expected: float | None) -> None:
    assert eta_s(line, pace) == expected


@given(st.integers(0, 10**6), st.integers(0, 10**4), st.integers(0, 10**4), st.floats(0.1, 1e6), st.floats(0.1, 120))
def test_more_in_line_never_takes_less(chunks: int, files: int, more: int, done: float, elapsed_s: float) -> None:
    pace = Pace(done, elapsed_s, 7.5)
    sooner, later = eta_s(Line(chunks, files), pace), eta_s(Line(chunks + more, files + more), pace)
    assert sooner is not None and later is not None
    assert 0 <= sooner <= later

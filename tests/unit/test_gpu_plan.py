"""Which parts lie on a GPU, by size and budget."""

import pytest

from indexes.engines.gpu_plan import Candidate, Placement, bytes_on_device, code_bytes, placements

GIB = 1 << 30
MILLION = Candidate("million", 1_000_000, 384, 1.0)
LARGE = Candidate("large", 10_000_000, 384, 2.0)


@pytest.mark.parametrize(
    ("candidates", "budget", "cuvs", "expected"),
    [
        ([], GIB, True, {}),
        ([MILLION], 2 * GIB, True, {"million": Placement.EXACT}),
        ([MILLION], GIB, True, {"million": Placement.IVF_PQ}),
        ([MILLION], GIB // 4, True, {"million": Placement.CPU}),
        ([LARGE], 80 * GIB, True, {"large": Placement.CAGRA}),
        ([LARGE], 80 * GIB, False, {"large": Placement.IVF_PQ}),
        ([LARGE], 8 * GIB, True, {"large": Placement.IVF_PQ}),
        ([MILLION, LARGE], 18 * GIB, True, {"large": Placement.CAGRA, "million": Placement.IVF_PQ}),
        ([MILLION, LARGE], 3 * GIB, True, {"large": Placement.IVF_PQ, "million": Placement.EXACT}),
    ],
)
def test_the_one_searched_last_chooses_first_and_the_rest_stays_on_the_cpu(candidates, budget, cuvs, expected):
    assert placements(candidates, budget, cuvs=cuvs) == expected


def test_the_budget_holds():
    many = [Candidate(str(number), 300_000, 384, float(number)) for number in range(20)]
    placed = placements(many, GIB, cuvs=True)
    taken = sum(bytes_on_device(placed[one.version_id], one.rows, one.dimension) for one in many)
    assert taken <= GIB
    assert placed["19"] is Placement.EXACT
    assert placed["0"] is Placement.CPU


@pytest.mark.parametrize(("dimension", "expected"), [(3, 1), (100, 20), (384, 96), (768, 96), (1_024, 64), (1_537, 1)])
def test_the_codes_of_vectors(dimension, expected):
    assert code_bytes(dimension) == expected

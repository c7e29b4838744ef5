"""Main parts on a CUDA device, by faiss-gpu. Not run on a device yet: see `indexes/README.md`.

FAISS's resources serve one call at a time, and freeing an index is such a call. So each part has resources of its own:
one is built, or goes, while others are searched.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from math import ceil

import faiss
import numpy as np

from indexes.engines.faiss_part import RECALL
from indexes.engines.faiss_scan import Nearest, Numbers, products
from indexes.engines.gpu_device import DeviceFailure
from indexes.engines.gpu_plan import SCRATCH_BYTES, Placement, code_bytes
from indexes.engines.shared_pass import SharedPass
from indexes.errors import SettingsError
from indexes.model import Vector

SURPLUS = 4
"""Times the rows asked for: so many are found on the device, and compared again with what the CPU has in full."""

_MEAN_LIST = 1_000  # rows of an inverted list
_QUESTIONS, _NEIGHBOURS = 128, 10  # by which effort is measured
_LADDER = (16, 32, 64, 128, 256, 512)  # lists opened, or rows kept on a walk
_LEAST_RECALL = 0.95  # is promised
_WIDTH = 32  # CAGRA keeps a multiple of it


class CudaDevice:
    """The first GPU."""

    @property
    def cuvs(self) -> bool:
        return hasattr(faiss, "GpuIndexCagra") and "CUVS" in faiss.get_compile_options()

    def put(self, vectors: Vector, placement: Placement) -> "CudaIndex":
        with _device_errors():
            form = _Form(vectors, placement, cuvs=self.cuvs)
            effort = 0 if placement is Placement.EXACT else _effort(form.find, vectors)
        return CudaIndex(partial(form.find, effort=effort), vectors)


class CudaIndex:
    """One part. `find` is what `_Form.find` is, `vectors` are the rows in full precision."""

    def __init__(self, find: Callable[[Vector, int], Numbers], vectors: Vector) -> None:
        self._pass = SharedPass(partial(_answer, find))
        self._vectors = vectors

    def search(self, query: Vector, fetch: int) -> Nearest:
        rows = self._pass.search(query, min(SURPLUS * fetch, len(self._vectors)))
        return Nearest(rows, products(self._vectors, query, rows)).top(fetch)


class _Form:
    """The rows as they lie on the device."""

    def __init__(self, vectors: Vector, placement: Placement, *, cuvs: bool) -> None:
        self._resources = faiss.StandardGpuResources()
        self._resources.setTempMemory(SCRATCH_BYTES)
        self._resources.setPinnedMemory(0)  # for queries of more than 256 MB
        self._placement = placement
        self._index = self._made(*vectors.shape, cuvs=cuvs)
        self._index.train(vectors)
        if placement is not Placement.CAGRA:  # which its training has built
            self._index.add(vectors)

    def find(self, queries: Vector, fetch: int, effort: int) -> Numbers:
        """Rows found for each query, shape (queries, fetch), -1 where there are no more."""
        rows: Numbers = self._index.search(queries, fetch, params=self._parameters(fetch, effort))[1]
        return rows

    def _made(self, rows: int, dimension: int, *, cuvs: bool) -> faiss.Index:
        match self._placement:
            case Placement.EXACT:
                half = faiss.GpuIndexFlatConfig()
                half.useFloat16 = True
                return faiss.GpuIndexFlatIP(self._resources, dimension, half)
            case Placement.CAGRA:
                return faiss.GpuIndexCagra(self._resources, dimension, faiss.METRIC_INNER_PRODUCT)
            case _:
                tables = faiss.GpuIndexIVFPQConfig()
                tables.useFloat16LookupTables = True  # of 96 bytes a code they just fit into the memory of a block
                tables.interleavedLayout = cuvs
                lists, width = max(1, rows // _MEAN_LIST), code_bytes(dimension)
                metric = faiss.METRIC_INNER_PRODUCT
                return faiss.GpuIndexIVFPQ(self._resources, dimension, lists, width, 8, metric, tables)

    def _parameters(self, fetch: int, effort: int) -> faiss.SearchParameters | None:
        match self._placement:
            case Placement.EXACT:
                return None
            case Placement.CAGRA:
                return faiss.SearchParametersCagra(itopk_size=_WIDTH * ceil(max(effort, fetch) / _WIDTH))
            case _:
                return faiss.SearchParametersIVF(nprobe=effort)


def cuda_device(*, required: bool) -> CudaDevice | None:
    """The device, if this FAISS and this machine have one. Raises SettingsError where it is `required`."""
    if hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0:
        return CudaDevice()
    if required:
        raise SettingsError(
            "`engine.device = cuda` needs a GPU and `citewell[gpu]`. Set `auto` or `cpu`, or uninstall faiss-cpu and "
            "install faiss-gpu."
        )
    return None


def _answer(find: Callable[[Vector, int], Numbers], queries: Vector, fetch: int) -> list[Numbers]:
    with _device_errors():
        return [rows[rows >= 0] for rows in find(queries, fetch)]


def _effort(find: Callable[[Vector, int, int], Numbers], vectors: Vector) -> int:
    """The least that finds the nearest of some stored rows. Raises DeviceFailure where nothing finds enough."""
    own = np.random.default_rng(1).choice(len(vectors), min(_QUESTIONS, len(vectors)), replace=False)
    questions = vectors[own]
    _, nearest = faiss.knn(questions, vectors, _NEIGHBOURS + 1, metric=faiss.METRIC_INNER_PRODUCT)
    others = [rows[rows != row] for row, rows in zip(own, nearest, strict=True)]
    recall = 0.0
    for effort in _LADDER:
        found = find(questions, SURPLUS * _NEIGHBOURS, effort)
        recall = float(np.mean([np.isin(true, rows).mean() for true, rows in zip(others, found, strict=True)]))
        if recall >= RECALL:
            return effort
    if recall < _LEAST_RECALL:
        raise DeviceFailure(f"The GPU's approximation finds {recall:.2f} of the nearest rows.")
    return _LADDER[-1]


@contextmanager
def _device_errors() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # out of memory comes as RuntimeError
        what = (str(error).splitlines() or [type(error).__name__])[0]
        raise DeviceFailure(f"The GPU does not do this: {what}") from error

"""Main parts on a CUDA device, by faiss-gpu. Not run on a device yet: see `indexes/README.md`."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import faiss

from indexes.engines.faiss_scan import Nearest, products
from indexes.engines.gpu_device import DeviceFailure, nearest
from indexes.engines.gpu_plan import Placement
from indexes.engines.shared_pass import SharedPass
from indexes.errors import SettingsError
from indexes.model import Vector

_SURPLUS = 4  # times the rows asked for: how many an approximate index finds, to be compared again in full
_PQ_PART = 4
_MEAN_LIST = 1_000  # rows of an inverted list
_OPEN_LISTS = 32


class CudaDevice:
    """The first GPU. FAISS's resources serve one call at a time."""

    def __init__(self) -> None:
        self._resources = faiss.StandardGpuResources()
        self._calling = threading.Lock()

    @property
    def cuvs(self) -> bool:
        return hasattr(faiss, "GpuIndexCagra") and "CUVS" in faiss.get_compile_options()

    def put(self, vectors: Vector, placement: Placement) -> "CudaIndex":
        with self._calling, _device_errors():
            index = self._index(vectors, placement)
        return CudaIndex(index, self._calling, None if placement is Placement.EXACT else vectors)

    def _index(self, vectors: Vector, placement: Placement) -> faiss.Index:
        rows, dimension = vectors.shape
        match placement:
            case Placement.EXACT:
                config = faiss.GpuIndexFlatConfig()
                config.useFloat16 = True
                index = faiss.GpuIndexFlatIP(self._resources, dimension, config)
                index.add(vectors)
            case Placement.CAGRA:
                index = faiss.GpuIndexCagra(self._resources, dimension, faiss.METRIC_INNER_PRODUCT)
                index.train(vectors)
            case _:
                lists = max(1, rows // _MEAN_LIST)
                index = faiss.GpuIndexIVFPQ(
                    self._resources, dimension, lists, dimension // _PQ_PART, 8, faiss.METRIC_INNER_PRODUCT
                )
                index.nprobe = min(lists, _OPEN_LISTS)
                index.train(vectors)
                index.add(vectors)
        return index


class CudaIndex:
    """One part. `vectors` are the rows in full precision, where the device's form is an approximation."""

    def __init__(self, index: faiss.Index, calling: threading.Lock, vectors: Vector | None) -> None:
        self._index = index
        self._pass = SharedPass(self._answer, calling)
        self._vectors = vectors

    def search(self, query: Vector, fetch: int) -> Nearest:
        if self._vectors is None:
            return self._pass.search(query, fetch)
        found = self._pass.search(query, min(_SURPLUS * fetch, len(self._vectors)))
        return Nearest(found.rows, products(self._vectors, query, found.rows))

    def _answer(self, queries: Vector, fetch: int) -> list[Nearest]:
        with _device_errors():
            return nearest(self._index, queries, fetch)


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


@contextmanager
def _device_errors() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # out of memory comes as RuntimeError
        raise DeviceFailure(f"The GPU does not do this: {str(error).splitlines()[0]}") from error

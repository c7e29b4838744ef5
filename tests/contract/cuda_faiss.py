"""faiss-gpu in ordinary memory: its classes as far as `faiss_gpu.py` knows them, with what they refuse on a device.

What is refused, and how it is said, is from the sources of FAISS 1.15 (`faiss/gpu`), for a GPU with 48 KiB of shared
memory a block. Results are those of the CPU index of the same kind; flat vectors are rounded to half precision, too.
"""
# ruff: noqa: N802, N815 - FAISS's names

import threading
from contextlib import contextmanager

import faiss

MOST_ROWS = 2_048
SHARED_BYTES = 48 << 10
CODE_BYTES = {1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96}


class Cuda:
    """A device of `room_bytes`, without cuVS or with it. `broken` makes every call fail, as one that was taken away."""

    def __init__(self, room_bytes, *, cuvs=False):
        self.room_bytes = room_bytes
        self.taken_bytes = 0
        self.broken = False
        self.cuvs = cuvs

    def installed(self, patch):
        """From now on `faiss` is faiss-gpu on this device."""
        names = {
            "StandardGpuResources": lambda: Resources(self),
            "GpuIndexFlatConfig": FlatConfig,
            "GpuIndexFlatIP": Flat,
            "GpuIndexIVFPQConfig": IvfPqConfig,
            "GpuIndexIVFPQ": IvfPq,
            "get_num_gpus": lambda: 1,
            "get_compile_options": lambda: "OPTIMIZE GPU CUVS " if self.cuvs else "OPTIMIZE GPU ",
        }
        if self.cuvs:
            names |= {"GpuIndexCagra": Cagra, "SearchParametersCagra": CagraParameters}
        for name, value in names.items():
            patch.setattr(faiss, name, value, raising=False)
        return self


class Resources:
    """For one call at a time: nothing in them is locked."""

    def __init__(self, cuda):
        self.cuda = cuda
        self.scratch_bytes = 1536 << 20
        self.in_use = False
        self.busy = threading.Lock()

    def setTempMemory(self, size):
        assert not self.in_use
        self.scratch_bytes = size

    def setPinnedMemory(self, size):
        assert not self.in_use

    @contextmanager
    def call(self):
        assert self.busy.acquire(blocking=False), "two calls at once"
        try:
            if self.cuda.broken:
                raise RuntimeError("Error in virtual void* allocMemory: CUDA error 46 device unavailable\n")
            yield
        finally:
            self.busy.release()

    def allocate(self, count):
        needed = count if self.in_use else count + self.scratch_bytes
        if self.cuda.taken_bytes + needed > self.cuda.room_bytes:
            raise RuntimeError(f"StandardGpuResources: alloc fail size {count} (cudaMalloc error out of memory [2])\n")
        self.in_use = True
        self.cuda.taken_bytes += needed


class Index:
    """One on the device. `_made` is that of the CPU, `row_bytes` what a row takes."""

    row_bytes = 0

    def __init__(self, resources, made):
        self._resources, self._made = resources, made
        self._taken = 0

    def __del__(self):
        with self._resources.call():
            self._resources.cuda.taken_bytes -= self._taken
            if self._resources.in_use:
                self._resources.cuda.taken_bytes -= self._resources.scratch_bytes
                self._resources.in_use = False

    def train(self, vectors):
        with self._resources.call():
            self._made.train(vectors)

    def add(self, vectors):
        with self._resources.call():
            self._put(vectors)

    def search(self, queries, fetch, *, params=None):
        with self._resources.call():
            if not 0 < fetch <= MOST_ROWS:
                raise RuntimeError(f"GPU index only supports min/max-K selection up to {MOST_ROWS} (requested {fetch})")
            return self._made.search(queries, fetch, params=self._of_cpu(params, fetch))

    def _put(self, vectors):
        self._resources.allocate(self.row_bytes * len(vectors))
        self._taken += self.row_bytes * len(vectors)
        self._made.add(vectors)

    def _of_cpu(self, params, fetch):
        assert params is None


class FlatConfig:
    useFloat16 = False


class Flat(Index):
    def __init__(self, resources, dimension, config):
        half = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        self.row_bytes = (2 if config.useFloat16 else 4) * dimension
        super().__init__(resources, half if config.useFloat16 else faiss.IndexFlatIP(dimension))


class IvfPqConfig:
    useFloat16LookupTables = False
    interleavedLayout = False


class IvfPq(Index):
    def __init__(self, resources, dimension, lists, width, bits, metric, config):
        if not resources.cuda.cuvs:
            assert not config.interleavedLayout
            assert bits == 8
            if width not in CODE_BYTES:
                raise RuntimeError(f"Number of bytes per encoded vector / sub-quantizers ({width}) is not supported")
            needed = (2 if config.useFloat16LookupTables else 4) * width * 256
            if needed > SHARED_BYTES:
                raise RuntimeError(f"Device 0 has {SHARED_BYTES} bytes of shared memory, while it requires {needed}")
        if dimension % width:
            raise RuntimeError("Number of sub-quantizers must be an even divisor of the number of dimensions")
        self.row_bytes = width + 8
        # As there, a code is of what the centroid leaves.
        self._coarse = faiss.IndexFlatIP(dimension)
        super().__init__(resources, faiss.IndexIVFPQ(self._coarse, dimension, lists, width, bits, metric))

    def _of_cpu(self, params, fetch):
        assert isinstance(params, faiss.SearchParametersIVF)
        if not 0 < params.nprobe <= MOST_ROWS:
            raise RuntimeError("GPU IVF index only supports nprobe selection up to 2048")
        return faiss.SearchParametersIVF(nprobe=min(params.nprobe, self._made.nlist))


class CagraParameters:
    def __init__(self, itopk_size=64):
        self.itopk_size = itopk_size


class Cagra(Index):
    """A graph; HNSW stands for it. Its training adds the rows."""

    def __init__(self, resources, dimension, metric):
        self.row_bytes = 4 * dimension + 4 * 64
        super().__init__(resources, faiss.IndexHNSWFlat(dimension, 32, metric))

    def train(self, vectors):
        with self._resources.call():
            self._put(vectors)

    def add(self, vectors):
        raise RuntimeError("adding vectors is not supported by GpuIndexCagra")

    def _of_cpu(self, params, fetch):
        assert isinstance(params, CagraParameters)
        if params.itopk_size < fetch:
            raise RuntimeError(f"`itopk_size` must be at least k ({fetch})")
        return faiss.SearchParametersHNSW(efSearch=params.itopk_size)

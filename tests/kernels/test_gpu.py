"""The gpu backend keeps the kernel contract: on a device where there is one, and on the host.

On the host, a C++ compiler compiles the same CUDA C source and `gpu_stand_in` stands in for CuPy.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from genome_eu.errors import UsageError
from genome_eu.kernels import PackedBlock, backend, gpu, pack
from tests.kernels import gpu_stand_in as stand_in
from tests.kernels.contract import (
    MISSING_RATES,
    KernelContract,
    assert_fields,
    assert_product,
    draw_dosage,
)
from tests.oracles import genotypes as oracle

on_device = pytest.mark.skipif(
    gpu.device_count() == 0, reason="needs CuPy and a CUDA device; none is here"
)
on_host = pytest.mark.skipif(
    stand_in.COMPILER is None, reason="needs a C++ compiler (g++, c++ or clang++) on the path"
)


class GpuContract(KernelContract):
    """The contract, and what is particular to tiles, streams and devices."""

    backend_name = "gpu"

    @pytest.fixture(params=[1, 10_000, 2**30], ids=["rows alone", "tiles", "one tile"])
    def tile_bytes(self, request, monkeypatch):
        monkeypatch.setattr(gpu, "TILE_BYTES", request.param)
        # Threads then step over more than one row, group or plane each.
        monkeypatch.setattr(gpu, "_MOST_BLOCKS_Y", 2)

    @pytest.mark.parametrize("rate", MISSING_RATES)
    @pytest.mark.parametrize("shape", [(60, 333), (333, 60)])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_tiles_agree_with_the_reference(self, tile_bytes, rate, shape, dtype):
        rows, people = shape
        dosage = draw_dosage(rows, people, rate, seed=11)
        # One row and one person without any call, and one row with every call, beside the others.
        dosage[rows // 2] = -1
        dosage[:, people // 2] = -1
        dosage[rows // 3] = 1
        block = self.block(dosage)
        reference = PackedBlock(pack(dosage), people, backend("reference"))
        rng = np.random.default_rng(12)
        groups = rng.integers(-1, 7, size=people)
        include = rng.random(people) < 0.9
        np.testing.assert_array_equal(block.counts(groups, 7), reference.counts(groups, 7))
        assert_fields(block.gram(3, include), vars(reference.gram(3, include)))
        assert_fields(block.gram(3, include, 1), vars(reference.gram(3, include, 1)))
        assert_fields(block.gram(rows + 5), vars(reference.gram(rows + 5)))
        assert_fields(block.pair_counts(), vars(reference.pair_counts()))
        q, r, s = (rng.standard_normal((n, 5)).astype(dtype) for n in (people, rows, rows))
        size = np.abs(dosage)
        for actual, expected in zip(block.matmul(q), reference.matmul(q), strict=True):
            assert_product(actual, expected, oracle.magnitude(size, q), dtype)
        scale = oracle.magnitude(size.T, np.abs(r) + np.abs(s))
        for actual, expected in zip(block.rmatmul(r, s), reference.rmatmul(r, s), strict=True):
            assert_product(actual, expected, scale, dtype)

    def test_threads_on_blocks_of_their_own_and_on_a_shared_one(self):
        shared = self.block(draw_dosage(50, 203, 0.1, seed=20))
        q = np.random.default_rng(21).standard_normal((203, 4))

        def work(seed):
            own = self.block(draw_dosage(50, 203, 0.1, seed=seed))
            return [*own.matmul(q), *shared.matmul(q), own.counts(np.zeros(203, int), 1)]

        alone = [work(seed) for seed in range(12)]
        with ThreadPoolExecutor(6) as threads:
            together = list(threads.map(work, range(12)))
        for one, other in zip(alone, together, strict=True):
            for first, second in zip(one, other, strict=True):
                assert first.tobytes() == second.tobytes()

    def test_a_thread_waits_for_the_rows_that_another_holds(self):
        dosage = draw_dosage(200, 3000, 0.1, seed=23)
        q = np.random.default_rng(24).standard_normal((3000, 3))
        here = self.block(dosage).matmul(q)
        for kernel in ("matmul", "counts", "gram", "pair_counts"):
            block = self.block(dosage[:, :60] if kernel == "pair_counts" else dosage)
            arguments = {"matmul": (q,), "counts": (np.zeros(3000, int), 1), "gram": (2,)}
            _ = block.held
            with ThreadPoolExecutor(1) as other:
                there = other.submit(getattr(block, kernel), *arguments.get(kernel, ())).result()
            if kernel == "matmul":
                assert [part.tobytes() for part in there] == [part.tobytes() for part in here]
            elif kernel == "counts":
                np.testing.assert_array_equal(there[:, 0, 3], (dosage < 0).sum(axis=1))
            elif kernel == "gram":
                np.testing.assert_array_equal(there.n[:, 0], (dosage >= 0).sum(axis=1))
            else:
                np.testing.assert_array_equal(
                    np.diag(there.observed), (dosage[:, :60] >= 0).sum(axis=0)
                )

    def test_rows_are_held_once_for_all_kernels(self):
        block = self.block(draw_dosage(9, 40, 0.1, seed=22))
        held = block.held
        block.matmul(np.ones((40, 2)))
        block.gram(3)
        assert block.held is held
        assert held.words.dtype == np.uint64
        assert held.words.shape == (9, 2)

    @pytest.mark.parametrize("people", [31, 32, 33, 63, 64, 65, 128])
    def test_words_that_are_full_and_words_that_are_not(self, people):
        dosage = draw_dosage(67, people, 0.1, seed=people)
        block = self.block(dosage)
        reference = PackedBlock(pack(dosage), people, backend("reference"))
        assert_fields(block.gram(4), vars(reference.gram(4)))
        assert_fields(block.pair_counts(), vars(reference.pair_counts()))
        np.testing.assert_array_equal(
            block.counts(np.arange(people) % 2, 2), reference.counts(np.arange(people) % 2, 2)
        )


@on_device
class TestGpu(GpuContract):
    def test_single_precision_is_not_tf32(self):
        # TF32 keeps 11 bits of the columns; single precision keeps 24.
        dosage = draw_dosage(64, 512, 0.0, seed=30)
        q = np.random.default_rng(31).standard_normal((512, 16)).astype(np.float32)
        product, _ = self.block(dosage).matmul(q)
        error = np.abs(product - oracle.dosage_product(dosage, q))
        assert (error <= 1e-6 * oracle.magnitude(dosage, q)).all()

    def test_memory_of_the_device_is_told(self):
        assert gpu.free_device_bytes() > 0


@pytest.fixture(scope="class")
def stand_in_for_cupy():
    with pytest.MonkeyPatch.context() as patch:
        for name, module in stand_in.MODULES.items():
            patch.setitem(sys.modules, name, module)
        gpu._cuda.cache_clear()
        yield
    gpu._cuda.cache_clear()


@on_host
@pytest.mark.usefixtures("stand_in_for_cupy")
class TestGpuOnHost(GpuContract):
    @pytest.mark.parametrize("shape", [(3000, 40), (40, 3000), (300, 700)])
    @pytest.mark.parametrize("width", [1, 12, 90])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_device_memory_stays_within_the_bound(self, monkeypatch, shape, width, dtype):
        monkeypatch.setattr(gpu, "TILE_BYTES", 50_000)
        rows, people = shape
        block = self.block(draw_dosage(rows, people, 0.2, seed=40))
        q, r = np.ones((people, width), dtype), np.ones((rows, width), dtype)
        groups = np.arange(people) % max(1, width // 3)
        bound = gpu.block_bytes(rows, people, width, q.itemsize)
        for work in (
            lambda: block.matmul(q),
            lambda: block.rmatmul(r),
            lambda: block.counts(groups, max(1, width // 3)),
        ):
            stand_in.Memory.peak = stand_in.Memory.live
            held = 0 if "held" not in vars(block) else block.held.words._values.nbytes
            before = stand_in.Memory.live - held
            work()
            assert stand_in.Memory.peak - before <= bound

    def test_nothing_stays_on_the_device(self):
        block = self.block(draw_dosage(20, 50, 0.2, seed=41))
        before = stand_in.Memory.live
        block.matmul(np.ones((50, 3)))
        block.pair_counts()
        assert stand_in.Memory.live == before + 20 * 2 * 8
        del block
        assert stand_in.Memory.live == before

    def test_memory_of_the_device_is_told(self):
        assert gpu.device_count() == 1
        assert gpu.free_device_bytes() == 2**30 + 2**20


class TestWithoutADevice:
    """Whatever this machine has, one of CuPy, its driver or a device is taken away."""

    @pytest.fixture(autouse=True)
    def fresh(self):
        gpu._cuda.cache_clear()
        yield
        gpu._cuda.cache_clear()

    def test_without_cupy(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "cupy", None)
        assert gpu.device_count() == 0
        block = PackedBlock(pack(np.zeros((2, 5), np.int8)), 5, backend("gpu"))
        with pytest.raises(UsageError, match=r"needs CuPy: pip install 'genome_eu\[cuda12\]' or"):
            block.matmul(np.ones((5, 1)))

    @pytest.mark.parametrize("count", [0, RuntimeError("cudaErrorInsufficientDriver")])
    def test_without_a_device(self, monkeypatch, count):
        def get_device_count():
            if isinstance(count, Exception):
                raise count
            return count

        for name, module in stand_in.MODULES.items():
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(stand_in.cupy.cuda.runtime, "getDeviceCount", get_device_count)
        assert gpu.device_count() == 0
        with pytest.raises(UsageError, match="finds no CUDA device; see what nvidia-smi shows"):
            gpu.require()

    @pytest.mark.parametrize("lacking", ["cuBLAS", "NVRTC"])
    def test_without_the_libraries_of_cuda(self, monkeypatch, lacking):
        def compile_nothing(self):
            raise RuntimeError("CuPy failed to load libnvrtc.so.13:\nOSError")

        for name, module in stand_in.MODULES.items():
            monkeypatch.setitem(sys.modules, name, module)
        if lacking == "cuBLAS":
            monkeypatch.setitem(sys.modules, "cupy.cublas", None)
        monkeypatch.setattr(stand_in.RawModule, "compile", compile_nothing)
        with pytest.raises(
            UsageError, match=r"lacks libraries of CUDA.*cupy-cuda13x\[ctk\]"
        ) as told:
            gpu.require()
        assert "\n" not in str(told.value)

"""Choosing a device, checking its memory, and a cluster of GPUs: all without one."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from types import SimpleNamespace

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster

from genome_eu import open_cohort
from genome_eu.compute import devices
from genome_eu.compute.devices import AUTO_GENOTYPES, check_device_memory, choose, gpu_cluster
from genome_eu.errors import BadInput, UsageError
from genome_eu.kernels import gpu
from tests.kernels import gpu_stand_in as stand_in


@pytest.fixture(autouse=True)
def no_client(monkeypatch):
    """Passes run on threads, whatever other tests left behind."""
    monkeypatch.setattr(devices, "_client", lambda: None)


@pytest.fixture
def one_gpu(monkeypatch):
    monkeypatch.setattr(gpu, "device_count", lambda: 1)
    monkeypatch.setattr(gpu, "require", lambda: None)


@pytest.fixture
def no_gpu(monkeypatch):
    def require():
        raise UsageError("the gpu backend needs CuPy")

    monkeypatch.setattr(gpu, "device_count", lambda: 0)
    monkeypatch.setattr(gpu, "require", require)


class FakeClient:
    """Workers by address: their GPUs, threads and free device memory."""

    def __init__(self, **workers):
        self._workers = workers

    def run(self, function):
        place = {gpu.device_count: 0, gpu.free_device_bytes: 2}[function]
        return {name: facts[place] for name, facts in self._workers.items()}

    def nthreads(self):
        return {name: facts[1] for name, facts in self._workers.items()}


def use(monkeypatch, client):
    monkeypatch.setattr(devices, "_client", lambda: client)


class TestChoose:
    def test_auto_takes_the_gpu_for_large_work_only(self, one_gpu):
        assert choose("auto", AUTO_GENOTYPES) == "gpu"
        assert choose("auto", AUTO_GENOTYPES - 1) == "cpu"

    def test_auto_without_a_gpu(self, no_gpu):
        assert choose("auto", 10**15) == "cpu"

    @pytest.mark.parametrize("genotypes", [0, 10**15])
    def test_what_is_asked_for_is_taken(self, one_gpu, genotypes):
        assert choose("gpu", genotypes) == "gpu"
        assert choose("cpu", genotypes) == "cpu"

    def test_small_work_does_not_even_look_for_a_gpu(self, monkeypatch):
        monkeypatch.setattr(gpu, "device_count", lambda: pytest.fail("looked"))
        assert choose("auto", 10**6) == "cpu"
        assert choose("cpu", 10**15) == "cpu"

    def test_a_gpu_that_is_not_there(self, no_gpu):
        with pytest.raises(UsageError, match="needs CuPy"):
            choose("gpu", 1)

    def test_an_unknown_device(self):
        with pytest.raises(UsageError, match="unknown device 'tpu'; choose one of auto, cpu, gpu"):
            choose("tpu", 1)

    def test_workers_count_not_this_machine(self, monkeypatch, no_gpu):
        use(monkeypatch, FakeClient(a=(1, 4, 0), b=(1, 4, 0)))
        assert choose("gpu", 1) == choose("auto", AUTO_GENOTYPES) == "gpu"

    def test_a_worker_without_a_gpu(self, monkeypatch, one_gpu):
        use(monkeypatch, FakeClient(a=(1, 4, 0), b=(0, 4, 0), c=(0, 4, 0)))
        assert choose("auto", AUTO_GENOTYPES) == "cpu"
        with pytest.raises(UsageError, match=r"2 of 3 Dask workers have no GPU.*\(first: b\)"):
            choose("gpu", 1)

    def test_a_cluster_without_workers(self, monkeypatch, one_gpu):
        use(monkeypatch, FakeClient())
        assert choose("auto", AUTO_GENOTYPES) == "cpu"
        with pytest.raises(UsageError, match="has no workers"):
            choose("gpu", 1)


def test_a_real_cluster_is_asked(monkeypatch):
    monkeypatch.undo()
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=3,
            processes=False,
            protocol="tcp",
            host="127.0.0.1",
            dashboard_address=None,
        ) as cluster,
        Client(cluster),
    ):
        places = devices._places()
        assert {place.name for place in places} == {w.address for w in cluster.workers.values()}
        assert [place.threads for place in places] == [3, 3]
        assert {place.gpus for place in places} == {gpu.device_count()}
    assert [place.name for place in devices._places()] == ["this machine"]


class TestMemory:
    def test_a_block_that_fits(self, monkeypatch, one_gpu):
        monkeypatch.setattr(gpu, "free_device_bytes", lambda: 8 * 2**30)
        with dask.config.set(num_workers=4):
            check_device_memory(3_000, 10_000, 40)

    def test_threads_that_do_not_fit_together(self, monkeypatch, one_gpu):
        monkeypatch.setattr(gpu, "free_device_bytes", lambda: 2**30)
        with dask.config.set(num_workers=1):
            check_device_memory(3_000, 10_000, 40)
        with (
            dask.config.set(num_workers=64),
            pytest.raises(
                BadInput,
                match=r"a block of 3,000 rows x 10,000 people with 40 columns takes 0\.2 GiB of GPU "
                r"memory, 1\d\.\d GiB for 64 threads, but this machine has 1\.0 GiB free; use fewer",
            ),
        ):
            check_device_memory(3_000, 10_000, 40)

    def test_the_bound_grows_with_what_is_held(self):
        small = gpu.block_bytes(1_000, 100_000, 20)
        assert small < gpu.block_bytes(2_000, 100_000, 20)
        assert small < gpu.block_bytes(1_000, 100_000, 40)
        assert gpu.block_bytes(1_000, 100_000, 20, 4) < small
        # A tile of one row is the least, however many people there are.
        assert gpu.block_bytes(1, 10**9, 1) > 8 * 10**9

    def test_the_smallest_worker_decides(self, monkeypatch):
        use(monkeypatch, FakeClient(a=(1, 2, 80 * 2**30), b=(1, 2, 2**28)))
        with pytest.raises(BadInput, match=r"for 2 threads, but b has 0\.2 GiB free"):
            check_device_memory(3_000, 10_000, 40, single=True)


class TestGpuCluster:
    def test_one_worker_a_gpu_behind_a_local_address(self, monkeypatch, one_gpu):
        seen = {}

        @contextmanager
        def cluster(**options):
            seen.update(options)
            yield SimpleNamespace(scheduler_address="tcp://127.0.0.1:1234")
            seen["closed"] = True

        @contextmanager
        def connected(address):
            seen["address"] = address
            yield
            assert "closed" not in seen

        monkeypatch.setitem(sys.modules, "dask_cuda", SimpleNamespace(LocalCUDACluster=cluster))
        monkeypatch.setattr(devices, "connected", connected)
        with gpu_cluster(threads_per_worker=3):
            assert seen["address"] == "tcp://127.0.0.1:1234"
        assert seen["closed"]
        assert seen["threads_per_worker"] == 3
        assert seen["host"] == "127.0.0.1"

    def test_without_dask_cuda(self, monkeypatch, one_gpu):
        monkeypatch.setitem(sys.modules, "dask_cuda", None)
        with pytest.raises(UsageError, match="needs dask-cuda.*cluster/gpu.txt"), gpu_cluster():
            pass

    def test_without_a_gpu(self, no_gpu):
        with pytest.raises(UsageError, match="needs CuPy"), gpu_cluster():
            pass


@pytest.mark.skipif(
    stand_in.COMPILER is None and gpu.device_count() == 0,
    reason="needs a CUDA device, or a C++ compiler to do without",
)
class TestQuestions:
    """The three questions, asked with the gpu backend (or its stand-in) and with the cpu's."""

    @pytest.fixture
    def both(self, monkeypatch, cohort):
        if gpu.device_count() == 0:
            for name, module in stand_in.MODULES.items():
                monkeypatch.setitem(sys.modules, name, module)
        gpu._cuda.cache_clear()
        yield [
            open_cohort(cohort.store.path, backend=name, block_size=16) for name in ("cpu", "gpu")
        ]
        gpu._cuda.cache_clear()

    def test_frequencies(self, both):
        cpu, other = (cohort.frequencies(by=["sex"]) for cohort in both)
        for name in cpu.data_vars:
            np.testing.assert_array_equal(other[name].values, cpu[name].values, err_msg=name)

    def test_gwas(self, both):
        for missing in ("mean", "drop"):
            cpu, other = (
                cohort.gwas("complete", covariates=["age"], missing=missing) for cohort in both
            )
            for name in ("variant_linreg_beta", "variant_linreg_neg_log10_p"):
                np.testing.assert_allclose(other[name], cpu[name], rtol=1e-9, atol=1e-12)

    def test_pca(self, both):
        cpu, other = (cohort.pca(n_components=3) for cohort in both)
        name = "sample_pca_explained_variance"
        np.testing.assert_allclose(other[name], cpu[name], rtol=1e-12)

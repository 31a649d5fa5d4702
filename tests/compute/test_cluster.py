from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator

import numpy as np
import pytest
from distributed import Client, LocalCluster, default_client

from genome_eu import open_cohort
from genome_eu.compute import connected, reduce, stream
from genome_eu.errors import BadInput, NoAnswer, UsageError
from tests.compute import tasks

pytestmark = pytest.mark.timeout(120)


def local_cluster(**options) -> LocalCluster:
    """Two workers that listen on the loopback interface only."""
    return LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        **options,
    )


@pytest.fixture(scope="module")
def threads() -> Iterator[LocalCluster]:
    with local_cluster(processes=False, protocol="tcp") as cluster:
        yield cluster


def no_client() -> bool:
    try:
        default_client()
    except ValueError:
        return True
    return False


class TestAnswersOfACluster:
    def test_a_pass_gives_what_threads_give(self, cohort, threads):
        rows = np.random.default_rng(1).permutation(90)
        weight = rows * 0.5
        here = list(stream(cohort.store, rows, tasks.dosages_and_process, by_row=[weight], size=7))
        with connected(threads.scheduler_address):
            there = list(
                stream(cohort.store, rows, tasks.dosages_and_process, by_row=[weight], size=7)
            )
        for one, other in zip(here, there, strict=True):
            np.testing.assert_array_equal(one[0], other[0])
            np.testing.assert_array_equal(one[1], other[1])

    def test_a_sum_is_the_same_to_the_last_bit(self, cohort, threads):
        rows = np.tile(np.arange(90), 4)
        here = reduce(cohort.store, rows, tasks.column_sums, add=np.add, size=7)
        with connected(threads.scheduler_address):
            there = reduce(cohort.store, rows, tasks.column_sums, add=np.add, size=7)
        np.testing.assert_array_equal(here, there)

    def test_whole_questions(self, cohort, threads):
        asked = open_cohort(cohort.store.path, block_size=11)
        here = asked.frequencies(), asked.gwas("complete", covariates="age"), asked.pca(2)
        with connected(threads.scheduler_address):
            there = asked.frequencies(), asked.gwas("complete", covariates="age"), asked.pca(2)
        np.testing.assert_array_equal(
            here[0]["variant_allele_count"], there[0]["variant_allele_count"]
        )
        np.testing.assert_allclose(
            here[1]["variant_linreg_t_value"], there[1]["variant_linreg_t_value"], rtol=1e-12
        )
        np.testing.assert_allclose(
            here[2]["sample_pca_explained_variance"],
            there[2]["sample_pca_explained_variance"],
            rtol=1e-12,
        )

    def test_an_error_of_a_statistic_arrives_as_it_is(self, cohort, threads):
        with (
            connected(threads.scheduler_address),
            pytest.raises(BadInput, match="this block cannot be summarized"),
        ):
            list(stream(cohort.store, np.arange(90), tasks.refuse, size=30))

    @pytest.mark.slow
    def test_other_processes_open_the_store_by_its_path(self, cohort):
        with local_cluster(processes=True) as cluster, connected(cluster.scheduler_address):
            parts = list(stream(cohort.store, np.arange(90), tasks.dosages_and_process, size=5))
            total = reduce(cohort.store, np.arange(90), tasks.column_sums, add=np.add, size=5)
        np.testing.assert_array_equal(np.vstack([part[0] for part in parts]), cohort.dosage)
        readers = {part[2] for part in parts}
        assert os.getpid() not in readers
        assert len(readers) == 2
        here = reduce(cohort.store, np.arange(90), tasks.column_sums, add=np.add, size=5)
        np.testing.assert_array_equal(total, here)


class TestConnected:
    def test_without_an_address_nothing_is_connected(self):
        with connected(None):
            assert no_client()

    def test_without_an_address_an_active_client_is_used(self, cohort, threads):
        with Client(threads.scheduler_address) as client, connected(None):
            assert default_client() is client
            used = set(stream(cohort.store, np.arange(90), tasks.worker_address, size=5))
        assert used == {worker.address for worker in threads.workers.values()}

    def test_the_connection_ends_with_the_block(self, threads):
        with connected(threads.scheduler_address):
            assert default_client().scheduler.address == threads.scheduler_address
        assert no_client()

    def test_the_connection_ends_with_an_error_too(self, threads):
        with pytest.raises(BadInput, match="stop"), connected(threads.scheduler_address):
            raise BadInput("stop")
        assert no_client()

    @pytest.mark.parametrize(
        "address",
        [
            "",
            "127.0.0.1:8786",
            "http://127.0.0.1:8786",
            "tcp://",
            "tcp://127.0.0.1",
            "tcp://127.0.0.1:",
            "tcp://127.0.0.1:abc",
            "tcp://:8786",
            "tcp://127.0.0.1:8786/path",
            "tcp://two words:8786",
        ],
    )
    def test_an_address_that_is_none(self, address):
        with (
            pytest.raises(UsageError, match="give a scheduler as tcp://host:port"),
            connected(address),
        ):
            pytest.fail("connected to nothing")

    def test_tls_without_certificates(self):
        with (
            pytest.raises(UsageError, match="Dask has no TLS certificates here"),
            connected("tls://127.0.0.1:8786", timeout_s=1),
        ):
            pytest.fail("connected to nothing")

    def test_nothing_listens(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        begun = time.monotonic()
        with (
            pytest.raises(NoAnswer, match=f"no Dask scheduler answers at tcp://127.0.0.1:{port}"),
            connected(f"tcp://127.0.0.1:{port}", timeout_s=1),
        ):
            pytest.fail("connected to nothing")
        assert time.monotonic() - begun < 15
        assert no_client()

    def test_something_else_listens(self):
        """A port that takes connections and says nothing."""
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen()
            address = f"tcp://127.0.0.1:{deaf.getsockname()[1]}"
            with (
                pytest.raises(NoAnswer, match="no Dask scheduler answers"),
                connected(address, timeout_s=1),
            ):
                pytest.fail("connected to nothing")

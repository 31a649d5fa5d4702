from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest

from genome_eu.cohort import open_store
from genome_eu.errors import SourceError

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def memory():
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


@pytest.fixture
def url(made, memory):
    memory.put(str(made.path), "/bucket/fi.vcz", recursive=True)
    return "memory://bucket/fi.vcz"


def test_a_store_behind_a_url_is_the_same_cohort(made, url):
    store = open_store(url)
    assert (store.name, store.path) == ("fi", url)
    assert store.digest == made.digest
    assert store.sample_id.tolist() == made.sample_id.tolist()
    pd.testing.assert_frame_equal(store.rows, made.rows)
    np.testing.assert_array_equal(store.row_counts, made.row_counts)
    for rows in (slice(None), np.array([44, 0, 3])):
        np.testing.assert_array_equal(store.read(rows).packed, made.read(rows).packed)
    store.verify()
    assert open_store(url + "/").digest == made.digest


def test_what_is_known_of_it(made, url):
    description = open_store(url).describe()
    assert json.loads(json.dumps(description)) == description
    expected = {**made.describe(), "path": url, "bytes": None, "packed_bytes": None}
    assert description == expected
    assert repr(open_store(url)) == f"CohortStore('{url}': 7 people, 45 rows)"


def test_a_worker_opens_the_url_itself(url):
    assert open_store(url).__reduce__() == (open_store, (url,))


def test_sgkit_reads_it(made, url):
    pytest.importorskip("sgkit")
    found = open_store(url).dataset()["call_genotype"].values
    np.testing.assert_array_equal(found, made.dataset()["call_genotype"].values)


def test_reading_writes_nothing(made, url, memory):
    before = dict(memory.store)
    store = open_store(url)
    store.verify()
    store.describe()
    assert dict(memory.store) == before


def test_damage_is_found(url, memory):
    for name in memory.find("/bucket/fi.vcz/genome_eu/packed"):
        if not name.rpartition("/")[2].startswith("."):
            memory.pipe(name, memory.cat(name)[:-1] + b"\xff")
    with pytest.raises(SourceError, match=r"cohort fi\.vcz: genome_eu/packed, rows 0 to 44, is da"):
        open_store(url).read(slice(None))


def test_file_urls_are_folders(made, tmp_path):
    path = tmp_path / "fi store.vcz"
    shutil.copytree(made.path, path)
    store = open_store(path.as_uri())
    assert store.path == path
    assert store.describe()["bytes"] > 0
    store.verify()


@pytest.mark.parametrize(
    ("where", "match"),
    [
        ("memory://bucket/none.vcz", r"memory://bucket/none\.vcz: no such cohort"),
        ("nowhere://bucket/fi.vcz", r"nowhere://bucket/fi\.vcz cannot be read: .*nowhere"),
        ("file:///none/fi.vcz", r"/none/fi\.vcz: no such cohort"),
    ],
)
def test_urls_that_lead_nowhere(memory, where, match):
    with pytest.raises(SourceError, match=match) as caught:
        open_store(where)
    assert "\n" not in str(caught.value)


def test_a_place_that_cannot_be_reached(url, memory, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("timed out\nafter 5 s")

    monkeypatch.setattr(type(memory), "exists", refuse)
    with pytest.raises(
        SourceError, match=r"fi\.vcz cannot be reached \(timed out\); check the URL"
    ):
        open_store(url)


def test_zarr_that_does_not_open(url, memory):
    memory.pipe("/bucket/fi.vcz/.zmetadata", b"{")
    memory.pipe("/bucket/fi.vcz/.zgroup", b"{")
    with pytest.raises(
        SourceError, match=r"fi\.vcz cannot be opened as Zarr; copy the store there"
    ):
        open_store(url)


def test_a_relative_path_stays_one(made, monkeypatch):
    monkeypatch.chdir(made.path.parent)
    assert open_store(made.path.name).path.parts == (made.path.name,)
    assert open_store(made.path.name).describe()["path"] == "fi.vcz"
    assert os.fspath(open_store(made.path).path) == str(made.path)

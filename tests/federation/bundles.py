"""Bundles for tests: sound ones made as the package makes them, and hand-made bad ones."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure import Airlock, Facts, Judged, load_policy
from genome_eu.disclosure.budget import Exposure
from genome_eu.errors import BundleError
from genome_eu.federation.bundle import (
    Bundle,
    MemoryArrays,
    SecureSum,
    write_answer,
    write_masked,
    write_plan,
)
from genome_eu.federation.parameters.counts import GenotypeCountsParameters
from genome_eu.federation.parameters.pca import ProjectionParameters
from genome_eu.federation.plan import FORMAT, Plan, array_digest
from genome_eu.federation.secure_sum import Floors
from genome_eu.stats.aggregate import Aggregate
from genome_eu.stats.counts import GroupSizes
from tests.federation.mutations import rewrite

COHORT = "c" * 64


def group_sizes_plan(sites: tuple[str, ...] = ("ES",)) -> Plan:
    """A plan without rows or inputs."""
    return Plan(
        study="made",
        round=0,
        sites=sites,
        reader="hub",
        secure_sum=False,
        statistic="group_sizes",
        version=1,
        parameters={"by": ["sex"]},
        inputs={},
        rows=0,
        rows_per_shard=8,
    )


def projection_plan(rows: int = 5, width: int = 2) -> tuple[Plan, dict[str, NDArray]]:
    """A plan with three input arrays."""
    inputs = {
        "panel": np.frombuffer(b"1\t100\tA\tC\t.\n" * rows, np.uint8),
        "frequency": np.linspace(0.1, 0.9, rows),
        "loadings": np.arange(rows * width, dtype=float).reshape(rows, width),
    }
    plan = Plan(
        study="made",
        round=3,
        sites=("ES", "FI"),
        reader="hub",
        secure_sum=False,
        statistic="pca_projection",
        version=1,
        parameters=ProjectionParameters().model_dump(mode="json"),
        inputs={name: array_digest(value) for name, value in inputs.items()},
        rows=rows,
        rows_per_shard=rows,
    )
    return plan, inputs


def counts_plan(rows: int, rows_per_shard: int) -> Plan:
    """A plan that is answered in shards."""
    parameters = GenotypeCountsParameters(by=(), groups=()).model_dump(mode="json")
    return Plan(
        study="made",
        round=1,
        sites=("ES",),
        reader="hub",
        secure_sum=False,
        statistic="genotype_counts",
        version=1,
        parameters=parameters,
        inputs={},
        rows=rows,
        rows_per_shard=rows_per_shard,
    )


def judged(
    shards: Iterable[tuple[Aggregate, Facts]], plan: Plan, site: str = "ES", policy: str = "default"
) -> Judged:
    """What the airlock says of these shards."""
    return Airlock(load_policy(policy)).judge(
        shards,
        Exposure(()),
        site=site,
        plan=plan.hash,
        statistic=plan.statistic,
        version=plan.version,
        spool=MemoryArrays(),
    )


def small_answer(path: Path) -> Path:
    """The smallest answer: three arrays."""
    plan = group_sizes_plan()
    part = GroupSizes(
        people_total=np.int64(60),
        people=np.array([29, 31]),
        labels=np.frombuffer(b"F\nM", np.uint8),
    )
    write_answer(path, judged([(part, Facts(people=60))], plan), COHORT)
    return path


def small_masked(path: Path) -> Path:
    """An answer under masks."""
    clear = Bundle(small_answer(path.with_suffix(".clear")))
    said = SecureSum(
        context="d" * 64,
        floors=Floors.of(load_policy("default")),
        commitments=("e" * 64,),
    )
    noise = np.random.default_rng(7).integers(0, 2**64, 3, np.uint64)
    write_masked(path, clear, lambda shard: {"people": noise, "people_total": noise[:1]}, said)
    return path


def small_plan(path: Path) -> Path:
    """A plan with inputs."""
    plan, inputs = projection_plan()
    write_plan(path, plan, inputs)
    return path


def read_all(path: Path) -> tuple[dict[str, Any], dict[str, tuple[str, tuple[int, ...], bytes]]]:
    """Everything that a bundle says: its manifest and all arrays.

    Raises
    ------
    BundleError
        Anything is wrong with it.
    """
    bundle = Bundle(path)
    arrays = {}
    for member in bundle.manifest.members:
        array = bundle.array(member.name)
        arrays[member.name] = (str(array.dtype), array.shape, array.tobytes())
    if bundle.manifest.kind == "plan":
        bundle.inputs()
    return bundle.manifest.model_dump(mode="json"), arrays


def same_or_refused(path: Path, content: bytes, sound: Any) -> bool:
    """Whether damaged `content` is refused; else it must read exactly as the sound bundle."""
    rewrite(path, content)
    try:
        found = read_all(path)
    except BundleError:
        return True
    assert found == sound, "a damaged bundle was read as something else"
    return False


def manifest_for(contents: dict[str, bytes], **changes: Any) -> dict[str, Any]:
    """A manifest that lists these members truly."""
    return {
        "format": FORMAT,
        "kind": "answer",
        "site": "ES",
        "plan": "a" * 64,
        "cohort": COHORT,
        "statistic": "group_sizes",
        "version": 1,
        "shards": 1,
        "policy": "default",
        "members": [
            {"name": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in contents.items()
        ],
    } | changes


def tar_of(path: Path, entries: Iterable[tuple[str | tarfile.TarInfo, bytes]]) -> Path:
    """A tar with whatever entries are given, as the standard library writes it."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in entries:
            entry = tarfile.TarInfo(name) if isinstance(name, str) else name
            entry.size = len(content) if entry.isreg() else entry.size
            archive.addfile(entry, io.BytesIO(content) if entry.isreg() else None)
    return path


def bundle_of(path: Path, members: dict[str, bytes], **changes: Any) -> Path:
    """A tar whose manifest is true to these members, save for `changes`."""
    head = json.dumps(manifest_for(members, **changes)).encode()
    return tar_of(path, [("manifest.json", head), *members.items()])


def npy(array: Any, header: str | None = None) -> bytes:
    """An array as .npy, or its numbers behind a header of one's own."""
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array), allow_pickle=True)
    if header is None:
        return buffer.getvalue()
    text = header.encode("latin1")
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return (
        b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + np.asarray(array).tobytes()
    )

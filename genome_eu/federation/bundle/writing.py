"""Write bundles: plans, answers as they were judged, answers under masks, refusals."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from genome_eu.atomic import AtomicFile
from genome_eu.canonical import canonical
from genome_eu.disclosure.airlock import Judged
from genome_eu.disclosure.checks import Evidence
from genome_eu.errors import BundleError
from genome_eu.federation.bundle.arrays import FileArrays
from genome_eu.federation.bundle.manifest import (
    MANIFEST,
    MANIFEST_DIGEST,
    EvidenceRecord,
    Manifest,
    Member,
    SecureSum,
)
from genome_eu.federation.bundle.reading import Bundle
from genome_eu.federation.bundle.tar import tar_end, write_member
from genome_eu.federation.plan import Plan, npy_bytes

Masks = Callable[[int], Mapping[str, NDArray[np.uint64]]]


def write_answer(path: Path, judged: Judged, cohort: str) -> None:
    """Write a site's answer as the airlock judged it. Nothing unjudged is accepted."""
    if not isinstance(judged, Judged):
        raise BundleError(f"{type(judged).__name__} has not passed the airlock")
    manifest = Manifest(
        kind="answer",
        site=judged.site,
        plan=judged.plan,
        cohort=cohort,
        statistic=judged.statistic,
        version=judged.version,
        shards=judged.shards,
        policy=judged.policy,
        floors=judged.floors,
        evidence=tuple(record(item) for item in judged.evidence),
    )
    write_bundle(path, manifest, judged.spool.members)


def record(item: Evidence) -> EvidenceRecord:
    """Evidence as it travels: the reason is for the people at the site."""
    said = asdict(item)
    return EvidenceRecord(**{name: said[name] for name in EvidenceRecord.model_fields})


def write_masked(path: Path, clear: Bundle, arrays: Masks, said: SecureSum) -> None:
    """Write a judged answer under masks: the same manifest, over other arrays.

    Parameters
    ----------
    clear : Bundle
        The answer as judged.
    arrays : callable
        The masked arrays of a shard, by its number.
    said : SecureSum
        The round that the masks belong to.
    """
    # What was checked, without a number: one that follows from this site's people is theirs.
    checked = tuple(
        item.model_copy(update={"withheld": 0, "of": 0}) for item in clear.manifest.evidence
    )
    manifest = clear.manifest.model_copy(
        update={"secure_sum": said, "members": (), "evidence": checked}
    )
    with tempfile.TemporaryDirectory(prefix="work-", dir=path.parent) as folder:
        # Read twice, made once: masks take far longer than the disk.
        kept = FileArrays(Path(folder))
        for shard in range(clear.manifest.shards):
            kept.put_arrays(shard, arrays(shard))
        write_bundle(path, manifest, kept.members)


def write_plan(path: Path, plan: Plan, inputs: dict[str, NDArray]) -> None:
    """Write a plan with the arrays that it names."""

    def members() -> Iterator[tuple[str, bytes]]:
        for name in sorted(inputs):
            yield f"inputs/{name}.npy", npy_bytes(inputs[name])

    write_bundle(path, Manifest(kind="plan", plan=plan.hash, content=plan), members)


def write_refusal(
    path: Path,
    site: str,
    plan: str,
    reason: Literal["policy", "input", "fault", "review"],
    message: str,
) -> None:
    """Write that a site does not answer a plan, and why in one line."""
    manifest = Manifest(kind="refusal", site=site, plan=plan, reason=reason, message=message[:500])
    write_bundle(path, manifest, lambda: iter(()))


def write_bundle(path: Path, manifest: Manifest, members: Any) -> None:
    """Write the tar beside `path`, then move it into place: it is there whole or not at all."""
    # Two passes: sizes and digests stand in the manifest, which comes first.
    listed = tuple(
        Member(name=name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        for name, content in members()
    )
    head = canonical(manifest.model_copy(update={"members": listed}).model_dump(mode="json"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with AtomicFile(path) as file:
        written = write_member(file.handle, MANIFEST, head)
        for name, content in members():
            written += write_member(file.handle, name, content)
        digest = hashlib.sha256(head).hexdigest().encode()
        written += write_member(file.handle, MANIFEST_DIGEST, digest)
        file.write(tar_end(written))

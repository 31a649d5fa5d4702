"""GWAS-SSF 1.0, the GWAS Catalog's standard: one gzipped table per trait and its sidecar.

The standard is described at github.com/EBISPOT/gwas-summary-statistics-standard. The
effects of a logistic model are log odds ratios, in the column beta. Every row
must be a complete test, so rows that were withheld, not tested or cannot be named in the
standard are left out; the sidecar's ``author_notes`` says how many, and `close` returns it.
"""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xarray as xr

from genome_eu.atomic import AtomicFile
from genome_eu.errors import BadInput, UsageError
from genome_eu.formats.association import file_of_trait
from genome_eu.formats.rows import RowNames, Shard, association, require, trait_label, trait_names
from genome_eu.formats.streams import ResultWriter
from genome_eu.formats.text import (
    constant,
    header,
    integers,
    joined,
    significant,
    tab_separated,
)

COLUMNS = (
    "chromosome",
    "base_pair_location",
    "effect_allele",
    "other_allele",
    "beta",
    "standard_error",
    "effect_allele_frequency",
    "neg_log_10_p_value",
    "variant_id",
    "rsid",
    "n",
    "ref_allele",
)
CHROMOSOMES = {**{str(k): k for k in range(1, 23)}, "X": 23, "Y": 24, "MT": 25}
SIDECAR_KEYS = (
    "gwas_id",
    "author_notes",
    "gwas_catalog_api",
    "date_metadata_last_modified",
    "trait_description",
    "ontology_mapping",
    "genome_assembly",
    "coordinate_system",
    "genotyping_technology",
    "imputation_panel",
    "imputation_software",
    "samples",
    "sex",
    "data_file_name",
    "file_type",
    "data_file_md5sum",
    "analysis_software",
    "adjusted_covariates",
    "minor_allele_freq_lower_limit",
    "is_harmonised",
    "is_sorted",
)
_COMPUTED = ("data_file_name", "file_type", "data_file_md5sum", "is_harmonised", "is_sorted")
# More digits than PLINK prints, because meta-analyses compute on from these files.
_DIGITS = 8
# A tenth larger than with gzip's usual 6, in a quarter of the time.
_COMPRESSION = 2


@dataclass(frozen=True)
class SsfSummary:
    """What one trait's file holds.

    Attributes
    ----------
    path, sidecar : Path
    rows : int
        Rows written.
    left_out : dict
        Reason to number of rows: an errcode of the result (``WITHHELD``, ``CONST_ALLELE``,
        ...), ``chromosome`` (not 1-22, X, Y, MT), ``alleles`` (not made of A, C, G, T) or
        ``not_finite``.
    md5 : str
    """

    path: Path
    sidecar: Path
    rows: int
    left_out: dict[str, int]
    md5: str


class _HashedFile:
    """Hands bytes on and digests them, so that the file is not read a second time."""

    def __init__(self, file: AtomicFile) -> None:
        self._file = file
        self.md5 = hashlib.md5(usedforsecurity=False)

    def write(self, content: bytes | memoryview) -> int:
        self.md5.update(content)
        return self._file.write(content)

    def flush(self) -> None:
        self._file.handle.flush()


@dataclass(eq=False)
class _TraitFile:
    file: AtomicFile
    hashed: _HashedFile
    table: gzip.GzipFile
    label: str
    rows: int = 0
    largest_n: int = 0
    last: tuple[int, int] = (0, 0)
    in_order: bool = True
    left_out: Counter[str] = field(default_factory=Counter)


class GwasSsfWriter(ResultWriter):
    """``<stem>.<trait>.tsv.gz`` and ``<stem>.<trait>.tsv.gz-meta.yaml`` for each trait.

    Parameters
    ----------
    stem : path
        Folder and beginning of the file names; a stem that ends in ``.tsv.gz`` names the
        file of a result with a single trait.
    metadata : mapping, optional
        Keys of the standard's sidecar to add or replace, such as ``genotyping_technology``,
        ``ontology_mapping``, ``samples``, ``adjusted_covariates``. What the writer measures
        itself cannot be replaced.
    frequency_floor : float, optional
        Frequencies nearer to 0 or 1 than this are moved to it and the sidecar says so
        (``minor_allele_freq_lower_limit``, the standard's own privacy floor).
    """

    def __init__(
        self,
        stem: str | os.PathLike[str],
        *,
        metadata: Mapping[str, Any] | None = None,
        frequency_floor: float | None = None,
    ) -> None:
        super().__init__()
        self.stem = Path(stem)
        self.metadata = dict(metadata or {})
        self.frequency_floor = frequency_floor
        self._attrs: dict[str, Any] = {}
        self._of_trait: dict[str, _TraitFile] = {}
        unknown = [key for key in self.metadata if key not in SIDECAR_KEYS or key in _COMPUTED]
        if unknown:
            raise UsageError(
                f"metadata {', '.join(unknown)} cannot be set in a GWAS-SSF sidecar. "
                f"Use: {', '.join(key for key in SIDECAR_KEYS if key not in _COMPUTED)}."
            )
        if frequency_floor is not None and not 0 <= frequency_floor < 0.5:
            raise UsageError(f"frequency_floor is {frequency_floor}; it must be in [0, 0.5).")

    def _start(self, dataset: xr.Dataset, traits: list[str]) -> None:
        whole_name = self.stem.name.endswith(".tsv.gz")
        if whole_name and len(traits) > 1:
            raise UsageError(
                f"{self.stem.name} names one file, but the result has {len(traits)} traits. "
                "Give the beginning of the names, without .tsv.gz."
            )
        self._attrs = dict(dataset.attrs)
        for trait in traits:
            path = self.stem if whole_name else file_of_trait(self.stem, trait, ".tsv.gz")
            file = self._create(path)
            hashed = _HashedFile(file)
            # No name and no time in the gzip header: the same result gives the same bytes.
            table = gzip.GzipFile(
                filename="", mode="wb", compresslevel=_COMPRESSION, fileobj=hashed, mtime=0
            )
            table.write(header(COLUMNS))
            self._of_trait[trait] = _TraitFile(file, hashed, table, trait_label(dataset, trait))

    def _append(self, shard: Shard) -> None:
        dataset = shard.dataset
        require(dataset, [f"{association(dataset)}_beta"])
        traits = trait_names(dataset)
        if not self._of_trait:
            self._start(dataset, traits)
        if traits != list(self._of_trait):
            raise BadInput(
                f"a shard has the traits {', '.join(traits)}, the first one had "
                f"{', '.join(self._of_trait)}. Append shards of one result only."
            )
        if not dataset.sizes["variants"]:
            return
        names = _StandardNames.of(shard.names, self.stem.name)
        codes, meanings = shard.codes
        fit = codes == (meanings.index(".") if "." in meanings else -1)
        for index, (trait, out) in enumerate(self._of_trait.items()):
            beta, se, exact, frequency = (
                np.asarray(shard.of_trait(name, index), dtype=np.float64)
                for name in ("beta", "se", "neg_log10_p", "allele_frequency")
            )
            finite = np.isfinite(beta) & np.isfinite(se) & np.isfinite(exact)
            finite &= np.isfinite(frequency)
            kept = fit[:, index]
            for code, rows in enumerate(np.bincount(codes[~kept, index], minlength=len(meanings))):
                out.left_out[meanings[code]] += int(rows)
            for passed, why in (
                (names.number > 0, "chromosome"),
                (names.spelled, "alleles"),
                (finite, "not_finite"),
            ):
                out.left_out[why] += int(np.count_nonzero(kept & ~passed))
                kept = kept & passed
            keep = np.flatnonzero(kept)
            if not len(keep):
                continue
            self._note_order(out, names.number[keep], names.position[keep])
            n = shard.of_trait("n", index)
            out.rows += len(keep)
            out.largest_n = max(out.largest_n, int(n[keep].max()))
            if self.frequency_floor is not None:
                frequency = np.clip(frequency, self.frequency_floor, 1 - self.frequency_floor)
            lines = tab_separated(
                [
                    names.before,
                    significant(beta, _DIGITS),
                    significant(se, _DIGITS),
                    significant(frequency, _DIGITS),
                    significant(exact, _DIGITS),
                    names.after,
                    integers(n, "#NA"),
                    constant("OA", len(n)),
                ],
                f"trait {trait}",
                keep,
            )
            for some in lines:
                out.table.write(some)

    @staticmethod
    def _note_order(out: _TraitFile, number: np.ndarray, position: np.ndarray) -> None:
        place = number * 10**10 + position.astype(np.int64)
        before = out.last[0] * 10**10 + out.last[1]
        out.in_order &= bool(place[0] >= before and (np.diff(place) >= 0).all())
        out.last = (int(number[-1]), int(position[-1]))

    def _finish(self) -> dict[str, SsfSummary]:
        summaries = {}
        for trait, out in self._of_trait.items():
            # Reasons that no row had go.
            out.left_out = +out.left_out
            out.table.close()
            md5 = out.hashed.md5.hexdigest()
            path = out.file.target
            sidecar = self._create(path.with_name(f"{path.name}-meta.yaml"))
            sidecar.write(_yaml(self._sidecar(out, path.name, md5)).encode())
            summaries[trait] = SsfSummary(
                path, sidecar.target, out.rows, dict(sorted(out.left_out.items())), md5
            )
        return summaries

    def _sidecar(self, out: _TraitFile, name: str, md5: str) -> dict[str, Any]:
        build = str(self._attrs.get("build", "unknown"))
        version = self._attrs.get("genome_eu_version")
        notes = [str(self.metadata["author_notes"])] if "author_notes" in self.metadata else []
        if out.label.endswith("(simulated trait)"):
            notes.append("The trait is simulated; no association here is real.")
        question = json.loads(self._attrs.get("question", "{}"))
        if transform := question.get("transform"):
            within = "" if transform == "log" else ", within each site"
            notes.append(f"Trait transform: {transform}{within}.")
        if out.left_out:
            counts = ", ".join(f"{why} {n}" for why, n in sorted(out.left_out.items()))
            notes.append(f"Rows left out: {counts}.")
        known: dict[str, Any] = {
            "date_metadata_last_modified": dt.date.today(),
            "trait_description": [out.label],
            # NR is what the GWAS Catalog's tools write for "not reported".
            "genome_assembly": "NR" if build == "unknown" else build,
            "coordinate_system": "1-based",
            "genotyping_technology": ["NR"],
            "samples": [{"sample_ancestry_category": ["NR"], "sample_size": out.largest_n}],
            "analysis_software": f"genome_eu {version}" if version else "genome_eu",
            "adjusted_covariates": _covariates(question) or None,
            "minor_allele_freq_lower_limit": self.frequency_floor,
        }
        known.update(self.metadata)
        known.update(
            author_notes=" ".join(notes) or None,
            data_file_name=name,
            file_type="GWAS-SSF v1.0",
            data_file_md5sum=md5,
            is_harmonised=False,
            is_sorted=out.in_order,
        )
        return {key: known[key] for key in SIDECAR_KEYS if known.get(key) is not None}


def _covariates(question: Mapping[str, Any]) -> list[str]:
    """What a question adjusts for: columns or terms, rows, and principal components."""
    named = [*(question.get("covariates") or ()), *(question.get("terms") or ())]
    named += [str(row) for row in question.get("condition") or ()]
    if question.get("pca"):
        named.append("principal components")
    elif question.get("components"):
        named.append(f"{question['components']} principal components")
    return [str(name) for name in named]


@dataclass(frozen=True, eq=False)
class _StandardNames:
    """Rows in the standard's terms; all arrays have shape (rows,)."""

    number: np.ndarray  # of the chromosome; 0 where the standard has none
    position: np.ndarray
    spelled: np.ndarray  # whether the alleles are made of A, C, G, T
    before: pa.Array  # the columns before the effect
    after: pa.Array  # variant_id and rsid

    @classmethod
    def of(cls, rows: RowNames, where: str) -> _StandardNames:
        numbers = [CHROMOSOMES.get(name, 0) for name in rows.contig.dictionary.to_pylist()]
        number = np.array(numbers, dtype=np.int64)[rows.contig.indices.to_numpy()]
        spelled = np.ones(len(rows), dtype=bool)
        for alleles in (rows.ref, rows.alt):
            few = pc.match_substring_regex(alleles.dictionary, "^[ACGT]+$")
            spelled &= few.to_numpy(zero_copy_only=False)[alleles.indices.to_numpy()]
        ref, alt = rows.ref.cast(pa.string()), rows.alt.cast(pa.string())
        chromosome, place = integers(number), integers(rows.position, "0")
        names = pc.binary_join_element_wise(chromosome, place, ref, alt, "_")
        rsid = pc.if_else(pc.match_substring_regex(rows.id, "^rs[0-9]+$"), rows.id, "#NA")
        return cls(
            number,
            rows.position,
            spelled,
            joined([chromosome, place, alt, ref], where),
            joined([names, rsid], where),
        )


def _yaml(value: Mapping[str, Any], indent: int = 0) -> str:
    """The few shapes a sidecar has, as YAML; strings are quoted, so nothing is reinterpreted."""
    pad = " " * indent
    lines = []
    for key, item in value.items():
        if isinstance(item, (list, tuple)):
            lines.append(f"{pad}{key}:")
            for entry in item:
                if isinstance(entry, Mapping):
                    nested = _yaml(entry, indent + 4)
                    lines.append(f"{pad}  - {nested.lstrip().rstrip()}")
                else:
                    lines.append(f"{pad}  - {_scalar(entry)}")
        else:
            lines.append(f"{pad}{key}: {_scalar(item)}")
    return "\n".join(lines) + "\n"


def _scalar(value: Any) -> str:
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, np.generic):
        value = value.item()
    return json.dumps(value, ensure_ascii=False)

"""Meta-analysis of summary statistics, for sites that can only send results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from genome_eu._version import __version__
from genome_eu.errors import BadInput
from genome_eu.formats.summary_statistics import read_study
from genome_eu.results import attributes
from genome_eu.results.meta import MetaResult, meta_result
from genome_eu.stats import meta
from genome_eu.stats.meta import Study
from genome_eu.toml import parsed

if TYPE_CHECKING:
    from genome_eu.results import GwasResult

_KEYS = {"file", "name", "n", "columns"}


def meta_analysis(
    studies: Sequence[str | Path | Study],
    *,
    scheme: Literal["ivw", "samplesize"] = "ivw",
    genomic_control: bool = False,
    palindromic: Literal["keep", "drop"] = "keep",
) -> MetaResult:
    """Combine the results of studies that share no people.

    Parameters
    ----------
    studies : sequence of path or Study
        Tables of GWAS-SSF, REGENIE, PLINK 2 or METAL, or studies that
        `genome_eu.formats.read_study` or `study_of` gave. Their order decides whose alleles are
        named first.
    scheme : {"ivw", "samplesize"}
        Inverse-variance weights, with fixed and random effects; or z weighted by √n (METAL's
        SCHEME SAMPLESIZE), for effects that are not on one scale.
    genomic_control : bool
        Divide each study's χ² by its λ where that is above 1.
    palindromic : {"keep", "drop"}
        A/T and C/G read the same on both strands: take them as they are written (METAL), or leave
        them out.

    Returns
    -------
    MetaResult
        Variants are joined by contig, position and alleles where all studies have positions,
        otherwise by id. What was left out of each study is in its attributes.

    Raises
    ------
    BadInput
        A table cannot be read, or lacks the numbers that the scheme needs.
    UsageError
        There are fewer than two studies, or an option does not exist.

    Notes
    -----
    One round, of which nobody is asked anything: what leaves a site is its table of results.
    """
    read = [one if isinstance(one, Study) else read_study(one) for one in studies]
    by_position = all((study.position > 0).any() for study in read)
    joined = [_keyed(study, by_position) for study in read]
    found = meta.combine(
        joined, scheme=scheme, genomic_control=genomic_control, palindromic=palindromic
    )
    return meta_result(
        found,
        attributes(
            genome_eu_version=__version__,
            question={
                "ask": "meta",
                "studies": list(found.studies),
                "scheme": scheme,
                "genomic_control": genomic_control,
                "palindromic": palindromic,
            },
            joined_by="position" if by_position else "id",
            left_out=found.aligned.left_out,
        ),
    )


def _keyed(study: Study, by_position: bool) -> Study:
    if not by_position:
        named = study.key != ""
        if not named.any():
            raise BadInput(
                f"study {study.name} has no ids, and not all studies have positions to join by"
            )
        return study.select(named)
    placed = study.select((study.position > 0) & (study.contig != ""))
    return replace(
        placed,
        key=meta.keys_by_position(
            placed.contig, placed.position, placed.effect_allele, placed.other_allele
        ),
    )


def read_studies(path: str | Path) -> list[Study]:
    """The studies that a TOML file lists.

    Each is a table ``[[study]]`` with its `file` (beside the TOML file, unless absolute) and, if
    wanted, `name`, `n` (people, where no column says so) and `columns`, a table from meanings to
    headings.

    Raises
    ------
    BadInput
        The file is not such a list.
    """
    path = Path(path)
    try:
        listed = parsed(path.read_text(encoding="utf-8"))
        items = listed["study"]
        read = [_listed(item, path) for item in items]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(
            f"{path} does not list studies: write [[study]] with a file, and name, n and columns "
            f"if needed"
        ) from None
    return read


def _listed(item: dict[str, Any], path: Path) -> Study:
    unknown = sorted(set(item) - _KEYS)
    if unknown:
        raise BadInput(f"{path}: a study has no {unknown[0]}; it has {', '.join(sorted(_KEYS))}")
    return read_study(
        path.parent / str(item["file"]),
        name=item.get("name"),
        n=item.get("n"),
        columns=item.get("columns"),
    )


def study_of(result: GwasResult, name: str, trait: str | None = None) -> Study:
    """A GWAS of this package as a study of a meta-analysis; rows without a test are left out."""
    traits = [str(one) for one in result["trait_id"].values]
    place = traits.index(trait) if trait is not None else 0
    alleles = result["variant_allele"].values
    contigs = result["contig_id"].values[result["variant_contig"].values]

    model = "logreg" if "variant_logreg_beta" in result else "linreg"

    def of(name: str) -> Any:
        return result[f"variant_{model}_{name}"].values[:, place]

    study = Study(
        name=name,
        key=result["variant_id"].values.astype(object),
        contig=contigs.astype(object),
        position=result["variant_position"].values.astype(np.int64),
        effect_allele=alleles[:, 1].astype(object),
        other_allele=alleles[:, 0].astype(object),
        beta=of("beta"),
        se=of("se"),
        neg_log10_p=of("neg_log10_p"),
        n=of("n").astype(float),
        frequency=of("allele_frequency"),
    )
    return study.select(np.isfinite(study.beta))

"""`genome-eu freq`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from genome_eu.cli.asking import OneRound, Question, asks, formats_of, names
from genome_eu.errors import UsageError

if TYPE_CHECKING:
    from genome_eu.results import BetweenGroups


@asks
def freq(
    question: Question,
    by: Annotated[str, typer.Option(help="Columns to group people by: population,sex")] = "",
    hwe: Annotated[
        bool, typer.Option("--hwe/--no-hwe", help="Test Hardy–Weinberg proportions, or not.")
    ] = True,
    panel: Annotated[
        str, typer.Option(help="Variants that any site lists (union), or all do (intersection).")
    ] = "union",
    one_round: OneRound = False,
    grpmax: Annotated[
        str, typer.Option(help="Groups that the highest filtering frequency is of; default all.")
    ] = "",
    fst: Annotated[
        bool, typer.Option("--fst", help="Hudson's F_ST, private and shared variants, of groups.")
    ] = False,
    site_fst: Annotated[
        bool, typer.Option("--site-fst", help="The same of the sites of a federation.")
    ] = False,
    sfs: Annotated[
        int | None,
        typer.Option(
            help="Site-frequency spectra of groups, or with --site-fst of sites, projected to so "
            "many alleles."
        ),
    ] = None,
    joint_sfs: Annotated[
        bool, typer.Option("--joint-sfs", help="Joint spectra of each pair too, with --sfs.")
    ] = False,
    formats: Annotated[str, typer.Option(help="Files to write, of parquet, plink.")] = (
        "parquet,plink"
    ),
) -> None:
    """Allele counts and frequencies, call rates, exact Hardy–Weinberg tests, FAF, F_ST."""
    from genome_eu.formats.between import write_between
    from genome_eu.formats.folder import FrequencyFiles

    chosen = formats_of(FrequencyFiles, formats)
    among = _among(fst, site_fst, sfs, joint_sfs, by)
    with question.asked() as asked:
        asked = asked.in_one_round() if one_round else asked
        run, shards = asked.frequency_shards(
            names(by),
            hwe=hwe,
            panel=panel,  # type: ignore[arg-type]
            grpmax=names(grpmax) if grpmax else None,
            by_site=site_fst,
        )
        number = 0
        with FrequencyFiles(question.out, chosen) as files:
            for shard in shards:
                files.append(shard)
                for one in among:
                    one.add(shard)
                number += shard.sizes["variants"]
    paths = list(files.paths)
    for one in among:
        spectra = None if one.alleles is None else one.spectra()
        stem = "frequencies" if one.among == "groups" else "frequencies.sites"
        joint = one.joint_spectra() if one.joint else None
        paths += write_between(question.out, one.fst(), one.sharing(), spectra, joint, stem=stem)
    question.finish(run, paths, {"rows": number})


def _among(
    fst: bool, site_fst: bool, sfs: int | None, joint_sfs: bool, by: str
) -> list[BetweenGroups]:
    """What is compared while shards pass."""
    from genome_eu.results import BetweenGroups

    if fst and not by:
        raise UsageError("--fst is of groups; name their columns with --by")
    if sfs is not None and not by and not site_fst:
        raise UsageError("--sfs is of groups or sites; name columns with --by, or add --site-fst")
    if joint_sfs and sfs is None:
        raise UsageError("--joint-sfs needs the alleles to project to; add --sfs")
    found = []
    if by and (fst or sfs is not None):
        found.append(BetweenGroups("groups", sfs, joint=joint_sfs))
    if site_fst:
        found.append(BetweenGroups("sites", sfs, joint=joint_sfs))
    return found

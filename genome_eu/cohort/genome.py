"""Reference genomes: contig names, contig lengths, and which build a source was called on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache

from genome_eu.errors import SourceError, UsageError

BUILDS = ("GRCh37", "GRCh38")
UNKNOWN_BUILD = "unknown"

AUTOSOMES = frozenset(str(number) for number in range(1, 23))

# PLINK numbers the contigs after the autosomes; 25 is the pseudo-autosomal part of X and Y, and
# PAR1 and PAR2 are the ends of X that its --split-par names.
_PLINK_NUMBERS = {"23": "X", "24": "Y", "25": "XY", "26": "MT"}
_NAMES = {"X": "X", "Y": "Y", "XY": "XY", "PAR1": "XY", "PAR2": "XY", "M": "MT", "MT": "MT"}

_CONTIGS = (*(str(number) for number in range(1, 23)), "X", "Y")

# Versions of the RefSeq accessions NC_000001 to NC_000024 in GRCh37; GRCh38 has the next of each.
# Source: the assembly reports below. Both have NC_012920.1 as MT.
_VERSIONS = (
    *(10, 11, 11, 11, 9, 11, 13, 10, 11, 10, 9, 11, 10, 8, 9, 9, 10, 9, 9, 10, 8, 10),
    *(10, 9),
)
_ACCESSIONS = {"NC_012920.1": "MT"} | {
    f"NC_{number:06d}.{version + later}": name
    for number, (name, version) in enumerate(zip(_CONTIGS, _VERSIONS, strict=True), start=1)
    for later in range(len(BUILDS))
}

# Source: the assembly reports of GCF_000001405.13 and GCF_000001405.26.
# MT is left out: hg19 and GRCh37 disagree on it.
_LENGTHS = {
    "GRCh37": (
        *(249250621, 243199373, 198022430, 191154276, 180915260, 171115067, 159138663, 146364022),
        *(141213431, 135534747, 135006516, 133851895, 115169878, 107349540, 102531392, 90354753),
        *(81195210, 78077248, 59128983, 63025520, 48129895, 51304566, 155270560, 59373566),
    ),
    "GRCh38": (
        *(248956422, 242193529, 198295559, 190214555, 181538259, 170805979, 159345973, 145138636),
        *(138394717, 133797422, 135086622, 133275309, 114364328, 107043718, 101991189, 90338345),
        *(83257441, 80373285, 58617616, 64444167, 46709983, 50818468, 156040895, 57227415),
    ),
}

CONTIG_LENGTHS: Mapping[str, Mapping[str, int]] = {
    build: dict(zip(_CONTIGS, lengths, strict=True)) for build, lengths in _LENGTHS.items()
}


@cache
def contig_name(contig: str) -> str:
    """One name for each human contig, whatever the source calls it.

    Parameters
    ----------
    contig : str
        A name as in a VCF or a .bim file: with or without ``chr``, PLINK's number, or the RefSeq
        accession of either build.

    Returns
    -------
    name : str
        "1".."22", "X", "Y", "MT", or "XY" for PLINK's contig 25; any other name as it is.
    """
    if contig in _ACCESSIONS:
        return _ACCESSIONS[contig]
    bare = contig[3:] if contig[:3].lower() == "chr" else contig
    if bare in AUTOSOMES:
        return bare
    if bare in _PLINK_NUMBERS:
        return _PLINK_NUMBERS[bare]
    return _NAMES.get(bare.upper(), contig)


def header_contig_lengths(header: str) -> dict[str, int]:
    """Lengths in the ``##contig`` lines of a VCF header, by `contig_name`."""
    lengths = {}
    for line in header.splitlines():
        if not line.startswith("##contig=<"):
            continue
        name = re.search(r"[<,]ID=([^,>]+)", line)
        length = re.search(r"[<,]length=(\d+)", line)
        if name and length:
            lengths[contig_name(name.group(1))] = int(length.group(1))
    return lengths


def check_build_name(build: str | None) -> None:
    """Raise `UsageError` unless `build` is None or one of `BUILDS`."""
    if build is not None and build not in BUILDS:
        raise UsageError(f"unknown genome build {build!r}; choose one of {', '.join(BUILDS)}.")


def agree_on_build(source: str, build: str | None, lengths: Mapping[str, int]) -> str:
    """The build of a source: as given if its contig lengths allow it, else as they tell.

    Parameters
    ----------
    source : str
        Name for error messages.
    build : str, optional
        What the caller says.
    lengths : mapping of contig name to bases
        What the source's header says; contigs that no build lists are ignored.

    Returns
    -------
    build : str
        "GRCh37", "GRCh38" or "unknown".

    Raises
    ------
    SourceError
        If the header's lengths are not those of the build given.
    """
    check_build_name(build)
    known = {name: length for name, length in lengths.items() if name in _CONTIGS}
    if build is not None:
        for name, length in known.items():
            expected = CONTIG_LENGTHS[build][name]
            if length != expected:
                raise SourceError(
                    f"{source}: its header gives contig {name} {length:,} bases, but {build} has "
                    f"{expected:,}; leave the build out, or correct the header."
                )
        return build
    for candidate in BUILDS:
        if known and all(CONTIG_LENGTHS[candidate][name] == known[name] for name in known):
            return candidate
    return UNKNOWN_BUILD


def check_positions(source: str, build: str, ends: Iterable[tuple[str, int]]) -> None:
    """Raise `SourceError` if a variant lies beyond the end of its contig in this build.

    Parameters
    ----------
    source : str
        Name for error messages.
    build : str
        One of `BUILDS`, or "unknown", which allows every position.
    ends : iterable of (contig name, largest position)
    """
    for name, position in ends:
        length = CONTIG_LENGTHS.get(build, {}).get(name)
        if length is not None and position > length:
            raise SourceError(
                f"{source} has a variant at {name}:{position}, beyond the {length:,} bases that "
                f"contig has in {build}; check the build."
            )

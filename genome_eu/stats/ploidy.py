"""How many copies of a contig people have: the classes of rows, and who counts as what in each.

A row lies where everybody is diploid (autosomes and the pseudo-autosomal regions of X), on the
rest of X, on Y, or on the mitochondrial genome. Everything that is counted or fitted is counted or
fitted within one class, since people, copies and covariates differ between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

#: How the ALT of males counts on X: as 0 or 2 (X inactivation), or as 0 or 1.
XMales = Literal["0/2", "0/1"]
X_MALES: tuple[XMales, ...] = ("0/2", "0/1")

#: The name in a plan of rows that are counted and fitted together.
PloidyName = Literal["diploid", "x", "y", "mt"]


class PloidyClass(IntEnum):
    """Where a row lies, by how many copies people have there."""

    AUTOSOMAL = 0
    PSEUDOAUTOSOMAL = 1
    X = 2
    Y = 3
    MT = 4
    #: Other contigs; the pseudo-autosomal regions of Y, which are those of X; positions that the
    #: builds disagree on, where the build is not known.
    UNDEFINED = 5


#: Their names in results.
PLOIDY_CLASSES = tuple(one.name.lower() for one in PloidyClass)

#: What can be asked about together, by its name in a plan.
CLASSES: Mapping[PloidyName, tuple[PloidyClass, ...]] = {
    "diploid": (PloidyClass.AUTOSOMAL, PloidyClass.PSEUDOAUTOSOMAL),
    "x": (PloidyClass.X,),
    "y": (PloidyClass.Y,),
    "mt": (PloidyClass.MT,),
}


def rows_of(name: PloidyName, ploidy: NDArray) -> NDArray[np.bool_]:
    """Rows that are asked about under a name, bool, from the class of each row."""
    return np.isin(ploidy, CLASSES[name])


_AUTOSOMES = frozenset(map(str, range(1, 23)))

# Last base of PAR1 and first base of PAR2; with everything beyond them to the ends of the contig,
# as PLINK's --split-par has it. Source: the assembly reports of GCF_000001405.13 and .26.
_PAR: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "GRCh37": {"X": (2_699_520, 154_931_044), "Y": (2_649_520, 59_034_050)},
    "GRCh38": {"X": (2_781_479, 155_701_383), "Y": (2_781_479, 56_887_903)},
}
_BESIDE_PAR = {"X": PloidyClass.X, "Y": PloidyClass.Y}
_WITHIN_PAR = {"X": PloidyClass.PSEUDOAUTOSOMAL, "Y": PloidyClass.UNDEFINED}


def classes(contig: NDArray | pd.Series, position: ArrayLike, build: str) -> NDArray[np.int8]:
    """The class of each row, a `PloidyClass` as int8 (rows,).

    Parameters
    ----------
    contig : str array or categories, shape (rows,)
        "1".."22", "X", "Y", "MT", or "XY" for what a source calls pseudo-autosomal itself.
    position : int array, shape (rows,)
        1-based.
    build : str
        "GRCh37", "GRCh38" or "unknown".
    """
    position = np.asarray(position, np.int64)
    # Of each contig once: rows are many and contigs few.
    code, names = pd.factorize(contig)
    found = np.full(position.shape, PloidyClass.UNDEFINED, np.int8)
    for number, name in enumerate(names):
        here = code == number
        if name in _AUTOSOMES:
            found[here] = PloidyClass.AUTOSOMAL
        elif name == "XY":
            found[here] = PloidyClass.PSEUDOAUTOSOMAL
        elif name == "MT":
            found[here] = PloidyClass.MT
        elif name in _BESIDE_PAR:
            found[here] = _on_sex_contig(name, position[here], build)
    return found


def _on_sex_contig(name: str, position: NDArray, build: str) -> NDArray[np.int8]:
    """Classes of positions on X or Y; undefined where builds that are possible disagree."""
    of_builds = []
    for bounds in [_PAR[build]] if build in _PAR else _PAR.values():
        end, start = bounds[name]
        within = (position <= end) | (position >= start)
        of_builds.append(np.where(within, _WITHIN_PAR[name], _BESIDE_PAR[name]))
    agreed = np.all(np.stack(of_builds) == of_builds[0], axis=0)
    return np.where(agreed, of_builds[0], PloidyClass.UNDEFINED).astype(np.int8)


@dataclass(frozen=True, eq=False)
class Copies:
    """Who is counted in a class of rows, and who of them has one copy; each bool (people,)."""

    counted: NDArray[np.bool_]
    haploid: NDArray[np.bool_]


def copies(kind: PloidyName, male: NDArray, female: NDArray) -> Copies:
    """Who has how many copies.

    On X, males have one and everybody else two: people of unknown sex count as diploid, as PLINK 2
    has it. On Y only males are counted, with one copy; on MT everybody has one.

    Parameters
    ----------
    kind : {"diploid", "x", "y", "mt"}
    male, female : bool arrays, shape (people,)
        Neither where sex is not known.
    """
    everybody = np.ones(len(male), bool)
    if kind == "x":
        return Copies(everybody, male)
    if kind == "y":
        return Copies(male, male)
    return Copies(everybody, everybody if kind == "mt" else ~everybody)


@dataclass(frozen=True, eq=False)
class Association:
    """How a model of a trait differs in a class of rows from that of autosomal rows.

    Attributes
    ----------
    people : bool array, shape (people,)
        Who can take part.
    haploid : bool array, shape (people,)
        Who has one copy, coded 0 or 2: heterozygous calls of theirs are missing.
    halved : bool
        Dosages of the haploid count half, 0 or 1.
    """

    people: NDArray[np.bool_]
    haploid: NDArray[np.bool_]
    halved: bool


def association(
    kind: PloidyName, male: NDArray, female: NDArray, x_males: XMales = "0/2"
) -> Association:
    """The model in a class of rows: PLINK 2's `--glm`.

    On X, males count as homozygous (0 or 2) unless `x_males` is "0/1", sex is a covariate
    (`needs_sex`), and people of unknown sex take no part. Y is of males only. On Y and MT dosages
    are 0 or 2 and effects are then multiplied by `effect_scale`: per copy.

    Unlike PLINK, heterozygous calls of haploid people are missing here too; there they are half a
    copy in `--glm` (and in `--freq`), and missing in `--geno-counts` and `--hardy`.

    Parameters
    ----------
    kind : {"diploid", "x", "y", "mt"}
    male, female : bool arrays, shape (people,)
        Neither where sex is not known.
    x_males : {"0/2", "0/1"}
        The dosages of males on X.
    """
    of_class = copies(kind, male, female)
    on_x = kind == "x"
    return Association(
        people=of_class.counted & (male | female) if on_x else of_class.counted,
        haploid=of_class.haploid,
        halved=on_x and x_males == "0/1",
    )


def needs_sex(kind: PloidyName) -> bool:
    """Whether sex is a covariate of every model in this class."""
    return kind == "x"


def effect_scale(kind: PloidyName) -> float:
    """Effects of dosages 0/2, and their errors, times this are per copy where all have one."""
    return 2.0 if kind in ("y", "mt") else 1.0


def other_alleles(others: NDArray, halved: NDArray | int) -> NDArray:
    """How many alleles are not the ALT, at least.

    `others` takes everybody for having two copies, of whom up to `halved` have one.
    """
    least = others - halved
    # Where that may be less than there are, none is not known to be none.
    return np.where((np.asarray(halved) > 0) & (least <= 0), 1, least)

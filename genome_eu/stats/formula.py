"""Covariates by formula, as data: products of factors that every site builds alike.

The text of a formula is read where the question is asked, and only there. What travels is a list
of terms; a factor is a column as numbers, a column as categories, or one of a few functions of a
column, so that nothing that a site runs comes from a question. Categories are coded against a
reference level, with levels that all sites agreed on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import TraitError, UsageError

#: Functions of a column that a formula may name; `power` takes an exponent between 2 and 9.
FUNCTIONS: dict[str, Callable[[NDArray], NDArray]] = {
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "abs": np.abs,
}
_LARGEST_POWER = 9
_MOST_TERMS = 100
_MOST_FACTORS = 4
#: What a formula may be made of, for messages.
ALLOWED = "names, C(name), I(name**2), and " + ", ".join(f"{name}(name)" for name in FUNCTIONS)


@dataclass(frozen=True, order=True)
class Factor:
    """One column of the sample table as a formula uses it.

    `category` is a column of levels. Otherwise its numbers are passed through `function` ("" for
    none) and raised to `power`.
    """

    column: str
    category: bool = False
    function: str = ""
    power: int = 1

    def __post_init__(self) -> None:
        if self.function and self.function not in FUNCTIONS:
            raise UsageError(f"a formula has no function {self.function}; it may have {ALLOWED}")
        if not 1 <= self.power <= _LARGEST_POWER:
            raise UsageError(f"powers in a formula lie between 1 and {_LARGEST_POWER}")
        if self.category and (self.function or self.power != 1):
            raise UsageError(f"categories of {self.column} have no function")

    @property
    def name(self) -> str:
        """As it is written in a formula."""
        if self.category:
            return f"C({self.column})"
        name = f"{self.function}({self.column})" if self.function else self.column
        return f"I({name}**{self.power})" if self.power > 1 else name


@dataclass(frozen=True)
class Term:
    """A product of factors."""

    factors: tuple[Factor, ...]

    @property
    def name(self) -> str:
        """As it is written in a formula."""
        return ":".join(factor.name for factor in self.factors)

    @property
    def numbers(self) -> frozenset[Factor]:
        """Its factors that are numbers."""
        return frozenset(factor for factor in self.factors if not factor.category)


def checked(terms: Sequence[Term]) -> None:
    """Raise where terms are none, too many, or repeated."""
    if not terms:
        raise UsageError("a formula names no covariate")
    if len(terms) > _MOST_TERMS or max(len(term.factors) for term in terms) > _MOST_FACTORS:
        raise UsageError(
            f"a formula has at most {_MOST_TERMS} terms of {_MOST_FACTORS} factors each"
        )
    seen = set()
    for term in terms:
        key = frozenset(term.factors)
        if key in seen:
            raise UsageError(f"the formula has {term.name} twice")
        seen.add(key)


# -- levels ------------------------------------------------------------------------------------


def category_columns(terms: Iterable[Term]) -> tuple[str, ...]:
    """Columns whose levels the sites must agree on, in order of appearance."""
    factors = itertools.chain.from_iterable(term.factors for term in terms)
    return tuple(dict.fromkeys(factor.column for factor in factors if factor.category))


def number_columns(terms: Iterable[Term]) -> tuple[str, ...]:
    """Columns that are taken as numbers, in order of appearance."""
    factors = itertools.chain.from_iterable(term.factors for term in terms)
    return tuple(dict.fromkeys(factor.column for factor in factors if not factor.category))


def agreed_levels(sizes: Mapping[str, int], column: str) -> tuple[str, ...]:
    """Levels of a column, the reference first: the most common over all sites, then sorted.

    Parameters
    ----------
    sizes : mapping of str to int
        People of each level that may be named, over all sites.

    Raises
    ------
    TraitError
        There are fewer than two.
    """
    if len(sizes) < 2:
        raise TraitError(
            f"C({column}) has {len(sizes)} level{'' if len(sizes) == 1 else 's'} that may be "
            f"named; a category needs two"
        )
    reference = min(sizes, key=lambda level: (-sizes[level], level))
    return (reference, *sorted(level for level in sizes if level != reference))


# -- columns -----------------------------------------------------------------------------------

# A coding of one term: its categories, and whether each has a column for its reference too.
_Coding = dict[str, bool]


def _codings(terms: Sequence[Term]) -> list[list[_Coding]]:
    """How the categories of each term are coded, so that no column repeats what others span.

    A category spans its contrasts and, where no earlier term does, its margin; each term adds what
    is new, in as few blocks as possible. The intercept is there already.

    References
    ----------
    Smith (2018), Patsy 0.5 documentation, "Redundancy and categorical factors".
    """
    spanned: dict[frozenset[Factor], set[frozenset[str]]] = {frozenset(): {frozenset()}}
    codings = []
    for term in terms:
        names = [factor.column for factor in term.factors if factor.category]
        known = spanned.setdefault(term.numbers, set())
        new = [
            frozenset(names[place] for place in places)
            for size in range(len(names) + 1)
            for places in itertools.combinations(range(len(names)), size)
        ]
        new = [subset for subset in new if subset not in known]
        known.update(new)
        codings.append(_absorbed(new))
    return codings


def _absorbed(subsets: list[frozenset[str]]) -> list[_Coding]:
    """Contrasts of a set and of the set without one category are that category in full."""
    left: list[_Coding] = [dict.fromkeys(sorted(subset), False) for subset in subsets]
    merged = True
    while merged:
        merged = False
        for short, long in itertools.permutations(left, 2):
            extra = set(long) - set(short)
            if len(extra) == 1 and not set(short) - set(long):
                name = extra.pop()
                same = all(long[one] == full for one, full in short.items())
                if same and not long[name]:
                    long[name] = True
                    left.remove(short)
                    merged = True
                    break
    return left


def column_names(terms: Sequence[Term], levels: Mapping[str, Sequence[str]]) -> list[str]:
    """Names of the columns of a design, in the order of `design_columns`."""
    return [
        ":".join(
            f"C({factor.column})[{chosen[factor.column]}]" if factor.category else factor.name
            for factor in term.factors
            if not factor.category or factor.column in chosen
        )
        for term, chosen in _cells(terms, levels)
    ]


def design_columns(
    terms: Sequence[Term],
    levels: Mapping[str, Sequence[str]],
    numbers: Mapping[str, NDArray],
    categories: Mapping[str, NDArray],
) -> NDArray[np.float64]:
    """The columns of a formula, float64 (people, columns), without the intercept.

    Parameters
    ----------
    terms : sequence of Term
    levels : mapping
        Levels of each category, the reference first.
    numbers : mapping of str to float64 array, shape (people,)
        NaN where missing.
    categories : mapping of str to str array, shape (people,)
        "" where missing. A level that is not among `levels` is missing too: too few have it.

    Raises
    ------
    TraitError
        A function has no value for somebody, as the logarithm of 0 has none.
    """
    people = len(next(iter({**numbers, **categories}.values())))
    flags = {
        (name, level): np.where(known, categories[name] == level, np.nan)
        for name, its_levels in levels.items()
        if name in categories
        for known in [np.isin(categories[name], list(its_levels))]
        for level in its_levels
    }
    built: dict[Factor, NDArray] = {}
    out = []
    for term, chosen in _cells(terms, levels):
        column = np.ones(people)
        for factor in term.factors:
            if not factor.category:
                if factor not in built:
                    built[factor] = _evaluated(factor, numbers[factor.column])
                column = column * built[factor]
            elif factor.column in chosen:
                column = column * flags[factor.column, chosen[factor.column]]
        out.append(column)
    return np.column_stack(out) if out else np.empty((people, 0))


def _cells(
    terms: Sequence[Term], levels: Mapping[str, Sequence[str]]
) -> Iterable[tuple[Term, dict[str, str]]]:
    """Every column: its term, and the level of each category that it is of."""
    for term, codings in zip(terms, _codings(terms), strict=True):
        for coding in codings:
            names = [factor.column for factor in term.factors if factor.column in coding]
            names = [name for name in dict.fromkeys(names) if name in coding]
            options = [list(levels[name])[0 if coding[name] else 1 :] for name in names]
            # The first category runs fastest, as in R.
            for chosen in itertools.product(*reversed(options)):
                yield term, dict(zip(names, reversed(chosen), strict=True))


def _evaluated(factor: Factor, values: NDArray) -> NDArray[np.float64]:
    found = np.asarray(values, float)
    with np.errstate(all="ignore"):
        if factor.function:
            found = FUNCTIONS[factor.function](found)
        found = np.asarray(found**factor.power, float)
    if np.any(~np.isfinite(found) & ~np.isnan(values)):
        raise TraitError(
            f"{factor.name} has no value for somebody in column {factor.column}; leave such values "
            f"empty, or choose another function"
        )
    return found

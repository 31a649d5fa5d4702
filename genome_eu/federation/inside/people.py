"""A site's people as a plan asks about them: groups, traits, covariates, a model.

What the disclosure checks must know is counted here too, from the columns as the site holds them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.disclosure import Facts
from genome_eu.errors import BundleError, TraitError
from genome_eu.federation.parameters.linear import LinearParameters
from genome_eu.stats import exposure, linear, traits
from genome_eu.stats.formula import Term, category_columns, design_columns, number_columns

_LABEL = re.compile(r"[A-Za-z0-9.-]{1,32}")
_LONGEST_LABEL = 64
# An origin further from the data than this many spreads, or a scale as far from the spread, would
# round people's values to a few steps: a way of cutting out single people.
_FARTHEST = 1e6


class People:
    """The people of a site who take part, and their columns of the sample table.

    Parameters
    ----------
    table : DataFrame
        The sample table, one line a person of the store, in its order.
    included : bool array, shape (people,)
        Who takes part.
    """

    def __init__(self, table: pd.DataFrame, included: NDArray) -> None:
        self.table = table
        self.included = included

    def groups(self, by: Sequence[str]) -> NDArray:
        """The group of each person as text; "" for people in none.

        Raises
        ------
        TraitError
            A column does not exist, or its values cannot name groups.
        """
        label = np.full(len(self.table), "", dtype=object)
        for number, column in enumerate(by):
            if column not in self.table:
                raise TraitError(f"{column} is not a column of the sample table")
            text = _as_labels(self.table[column], column)
            known = (text != "") & (text != "unknown") & ((label != "") | (number == 0))
            label = np.where(known, label + ("_" if number else "") + text, "")
        if max((len(name) for name in label), default=0) > _LONGEST_LABEL:
            raise TraitError(
                f"groups by {', '.join(by)} have names of more than {_LONGEST_LABEL} characters; "
                f"group by fewer columns"
            )
        return np.where(self.included, label, "")

    def columns(self, names: Sequence[str], kind: str) -> NDArray:
        """Columns of the sample table as float64 (people, columns); NaN where missing.

        Raises
        ------
        TraitError
            A column does not exist, is not numeric, or holds an infinite value.
        """
        columns = []
        for name in names:
            if name not in self.table:
                raise TraitError(
                    f"{kind} {name} is not a column of the sample table; name another, add it with "
                    f"empty values, or ask without this site"
                )
            values = self.table[name]
            if name == "sex":
                # PLINK's coding; which of the two is larger changes no result.
                values = values.map({"M": 1.0, "F": 2.0})
            try:
                numbers = np.asarray(pd.to_numeric(values), dtype=float)
            except (ValueError, TypeError):
                raise TraitError(
                    f"{kind} {name} is not numeric; give numbers, and leave missing values empty"
                ) from None
            if np.isinf(numbers).any():
                raise TraitError(f"{kind} {name} holds an infinite value; correct the sample table")
            columns.append(numbers)
        return np.column_stack(columns) if columns else np.empty((len(self.table), 0))

    def formula(self, terms: Sequence[Term], levels: Mapping[str, Sequence[str]]) -> NDArray:
        """Columns of a formula, float64 (people, columns); NaN where missing.

        Who has a level that is not among the agreed ones lacks the covariate.

        Raises
        ------
        TraitError
            As `columns` and `groups`; also where a function has no value for somebody.
        """
        names = number_columns(terms)
        numbers = dict(zip(names, self.columns(names, "covariate").T, strict=True))
        categories = {name: self.groups((name,)) for name in category_columns(terms)}
        return design_columns(terms, levels, numbers, categories)

    def moments(self, x: NDArray, y: NDArray, *, judged: bool) -> tuple[traits.TraitMoments, Facts]:
        """Moments of covariates `x` and traits `y`, and what the checks must know of them.

        `judged` says whether an airlock will ask for the facts.
        """
        x, y = x[self.included], y[self.included]
        complete = ~np.isnan(x).any(axis=1)
        part = traits.summarize(x, y)
        people = int(part.trait_people.min())
        if not judged:
            return part, Facts(people=people)
        # Of all covariates together, as any model has them, and of each trait, which has its own.
        leverage = exposure.largest_leverage(x[complete])
        for one in y.T:
            values = one[complete & ~np.isnan(one), np.newaxis]
            leverage = max(leverage, exposure.largest_leverage(values))
        return part, Facts(
            people=people,
            smallest_class=exposure.smallest_class(np.hstack([x, y])[complete]),
            leverage=leverage,
        )

    def model(
        self, x: NDArray, y: NDArray, asked: LinearParameters, *, judged: bool
    ) -> tuple[linear.Design, Facts]:
        """A linear model on the agreed origins, and what the checks must know of its people.

        Who takes part for a group of traits is `linear.Design.members(group)`.

        Parameters
        ----------
        x, y : float64 arrays, (people, covariates) and (people, traits)
            As the site holds them; NaN where missing.
        asked : LinearParameters
            With the origins and scales of every column.
        judged : bool
            Whether an airlock will ask for the facts; they cost a decomposition.

        Raises
        ------
        BundleError
            The plan's origins do not fit its columns, or are far from the data; or it puts traits
            into a group that do not share their people here.
        """
        if x.shape[1] != len(asked.covariate_mean) or y.shape[1] != len(asked.trait_mean):
            raise BundleError("the plan has another number of origins than of columns")
        # Both: a model without covariates has nothing but traits to say who takes part.
        x = np.where(self.included[:, None], x, np.nan)
        y = np.where(self.included[:, None], y, np.nan)
        mean_x, scale_x = np.asarray(asked.covariate_mean), np.asarray(asked.covariate_scale)
        mean_y, scale_y = np.asarray(asked.trait_mean), np.asarray(asked.trait_scale)
        present = ~np.isnan(y) & ~np.isnan(x).any(axis=1)[:, None]
        facts = []
        for group in range(max(asked.groups) + 1):
            traits = np.flatnonzero(np.asarray(asked.groups) == group)
            members = present[:, traits[0]]
            if np.any(present[:, traits] != members[:, None]):
                raise BundleError("the plan groups traits that do not share their people here")
            raw = np.hstack([x[members], y[np.ix_(members, traits)]])
            mean, scale = np.append(mean_x, mean_y[traits]), np.append(scale_x, scale_y[traits])
            if raw.size:
                require_near(raw, mean, scale)
            facts.append(_exposed(raw, judged))
        # In place: thousands of traits take more memory than anything else here.
        x, y = x - mean_x, np.subtract(y, mean_y, out=y)
        model = linear.design(
            np.divide(x, scale_x, out=x),
            np.divide(y, scale_y, out=y),
            groups=asked.groups,
            site_effects=asked.site_effects,
        )
        people = int(model.included.any(axis=1).sum())
        return model, Facts(people=people, groups=tuple(facts))


def _exposed(raw: NDArray, judged: bool) -> Facts:
    """What the checks must know of a group of traits: its people's columns, as the site has them.

    It costs a decomposition, so only where an airlock will ask.
    """
    if not judged or not len(raw):
        return Facts(people=len(raw))
    return Facts(
        people=len(raw),
        smallest_class=exposure.smallest_class(raw),
        leverage=exposure.largest_leverage(raw),
    )


def require_near(raw: NDArray, mean: NDArray, scale: NDArray) -> None:
    """Raise `BundleError` where a plan's origins are far from the values of its columns."""
    spread = raw.std(axis=0)
    varies = spread > 0
    ratio = scale[varies] / spread[varies]
    near = np.abs(raw.mean(axis=0) - mean)[varies] <= _FARTHEST * spread[varies]
    if (
        np.any(scale <= 0)
        or not near.all()
        or np.any((ratio > _FARTHEST) | (ratio < 1 / _FARTHEST))
    ):
        raise BundleError("the plan's origins are far from the values of its columns")


def _as_labels(values: pd.Series[Any], column: str) -> NDArray:
    """Values as text, the same at every site however its table was read; "" where missing."""
    if pd.api.types.is_numeric_dtype(values):
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
        whole = np.isnan(numbers) | (numbers == np.floor(numbers))
        if not whole.all():
            raise TraitError(f"column {column} has fractions; group by a column of categories")
        return np.array(["" if np.isnan(v) else str(int(v)) for v in numbers], dtype=object)
    text = values.astype(object).where(values.notna(), "").astype(str).to_numpy(dtype=object)
    if any(value and not _LABEL.fullmatch(value) for value in np.unique(text.astype(str))):
        raise TraitError(
            f"column {column} has values that cannot name a group (letters, digits, '.' and '-', "
            f"at most 32)"
        )
    return text

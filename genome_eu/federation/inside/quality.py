"""Who of a site fails limits on people, and which of its people are trios."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.canonical import canonical
from genome_eu.stats.kinship import among, unrelated
from genome_eu.stats.qc.families import Trios, find_trios
from genome_eu.stats.qc.removal import RemovedPeople, removed_people, removed_relatives

if TYPE_CHECKING:
    from genome_eu.federation.parameters.filters import PeopleFilters
    from genome_eu.federation.site import Site


def removed_by(site: Site, asked: PeopleFilters) -> RemovedPeople:
    """Why each person is removed, found out once and kept: it takes passes over all genotypes."""
    said = canonical({"cohort": site.cohort_digest, "limits": asked.model_dump(mode="json")})
    key = hashlib.sha256(said).hexdigest()
    reason = site.state.removed.find(key)
    if reason is not None:
        return RemovedPeople(site.included, reason)
    limits = asked.limits
    measures = site.measures() if limits.measured else None
    removed = removed_people(measures, sexes_of(site.store.samples), limits, site.included)
    if limits.unrelated is not None:
        near = among(site.relatives(limits.unrelated), removed.keep, limits.unrelated)
        removed = removed_relatives(removed, unrelated(near, limits.unrelated))
    site.state.removed.keep(key, removed.reason)
    return removed


def sexes_of(table: pd.DataFrame) -> NDArray:
    """M, F or unknown of each person, by the table."""
    if "sex" not in table:
        return np.full(len(table), "unknown", dtype=object)
    return table["sex"].astype(str).to_numpy(object)


def trios_of(table: pd.DataFrame, included: NDArray) -> Trios:
    """Who takes part and has both parents there, by columns father and mother of the table."""
    if "father" not in table or "mother" not in table:
        return find_trios([], [], [])
    ids = [str(one) for one in table.index]
    found = find_trios(ids, _ids(table["father"]), _ids(table["mother"]))
    here = included[np.stack([found.child, found.father, found.mother])].all(axis=0)
    return Trios(found.child[here], found.father[here], found.mother[here])


def _ids(values: pd.Series) -> list[str]:
    """Ids as text, however the table was read; "0" where there is none."""
    if pd.api.types.is_numeric_dtype(values):
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
        return [str(int(one)) if np.isfinite(one) else "0" for one in numbers]
    return values.astype(object).where(values.notna(), "0").astype(str).tolist()

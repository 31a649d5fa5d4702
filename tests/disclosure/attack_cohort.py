"""Five national sites of real genotypes, with the columns that an attacker asks about.

The genotypes are kg_eur's. Of the columns, what matters is only what the attacker knows of them:
`one_person` is 1 for one Finn, `age_but_one` is `age` with that Finn's changed by 30 years; traits
are noise and halves are coin tosses, both known to the attacker.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.cohort import CohortStore, import_genotypes, open_store
from genome_eu.disclosure import load_policy
from genome_eu.federation.bundle import MemoryArrays
from genome_eu.federation.inside.state import SiteState
from genome_eu.federation.parameters.counts import GenotypeCountsParameters
from genome_eu.federation.parameters.linear import LinearParameters
from genome_eu.federation.parameters.pca import ProjectionParameters
from genome_eu.federation.parameters.variants import VariantListParameters
from genome_eu.federation.plan import Ask, Plan
from genome_eu.federation.site import Site
from genome_eu.stats import variants
from genome_eu.stats.aggregate import Aggregate, concatenate
from genome_eu.stats.counts import GenotypeCounts
from genome_eu.stats.pca import ProjectionSums
from genome_eu.stats.variants import VariantList
from tests.cohort.genotype_files import write_plink
from tests.peers.conftest import KG_EUR
from tests.peers.oracle import read_bed

TRAITS = tuple(f"trait{number}" for number in range(100))
#: The default policy as it would be if each request were judged by itself, and by nobody.
FLOORS = load_policy("default").model_copy(
    update={
        "differencing_floor": 0,
        "max_rank_per_person": "unlimited",
        "max_traits_per_person": "unlimited",
        "membership_power": 1.0,
    }
)
HALVES = tuple(f"half{number}" for number in range(100))


@dataclass(frozen=True, eq=False)
class Country:
    """A site's people as they are, and what the attack tests ask it."""

    store: CohortStore
    dosage: NDArray  # int8 (rows, people of the store)
    included: NDArray  # bool (people of the store)

    @property
    def table(self) -> pd.DataFrame:
        """The sample table of the people who take part."""
        return self.store.samples[self.included]

    @property
    def genotypes(self) -> NDArray:
        """Their genotypes, int8 (rows, people)."""
        return self.dosage[:, self.included]

    @property
    def people(self) -> int:
        """How many they are."""
        return int(self.included.sum())

    def without(self, *people: int) -> Country:
        """The same site less some of its people."""
        included = self.included.copy()
        included[np.flatnonzero(self.included)[list(people)]] = False
        return Country(self.store, self.dosage, included)

    @cached_property
    def bare(self) -> Site:
        """The site without protection."""
        return Site("FI", self.store, people=self.included)

    def guarded(self, state: Path) -> Site:
        """The site as it is under the default policy, with the memory that lies in a folder."""
        policy = load_policy("default")
        return Site("FI", self.store, policy, people=self.included, state=SiteState(state))

    @cached_property
    def floored(self) -> Site:
        """The site with the default policy's floors, and no limit on what adds up."""
        return Site("FI", self.store, FLOORS, people=self.included)


def make(folder: Path, knocked_out: float = 0.0) -> dict[str, Country]:
    """kg_eur as five countries, with the attackers' columns beside it; calls missing at random."""
    people, named, dosage = read_bed(KG_EUR / "kg_eur.bed")
    table = pd.read_csv(KG_EUR / "samples.tsv", sep="\t", index_col="sample_id").loc[people]
    rng = np.random.default_rng(7)
    age = np.round(rng.uniform(20, 80, len(table)), 1)
    one = np.arange(len(table)) == np.flatnonzero(table["population"] == "FIN")[4]
    columns = {
        "age": age,
        "one_person": one.astype(float),
        "age_but_one": np.where(one, age + 30.0, age),
        "height": np.round(rng.normal(170, 8, len(table)), 1),
    }
    traits = rng.standard_normal((len(table), len(TRAITS)))
    columns |= {name: np.round(traits[:, k], 4) for k, name in enumerate(TRAITS)}
    halves = rng.integers(0, 2, (len(table), len(HALVES)))
    columns |= {name: halves[:, k] for k, name in enumerate(HALVES)}
    table = pd.concat([table, pd.DataFrame(columns, table.index)], axis=1)
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "samples.tsv", sep="\t", index_label="sample_id")
    source = KG_EUR / "kg_eur.bed"
    if knocked_out:
        dosage = np.where(rng.random(dosage.shape) < knocked_out, -1, dosage).astype(np.int8)
        rows = [(contig, name, place, alt, ref) for contig, place, name, ref, alt in named]
        source = write_plink(folder / "calls", [("0", one, 0) for one in people], rows, dosage)
    import_genotypes(source, folder / "kg_eur.vcz", samples=folder / "samples.tsv")
    store = open_store(folder / "kg_eur.vcz")
    dosage = store.read(np.arange(len(store.rows))).dosages()
    population = store.samples["population"].to_numpy()
    return {name: Country(store, dosage, population == name) for name in np.unique(population)}


def plan_of(ask: Ask) -> Plan:
    """A question to this one site."""
    return ask.plan("study", 0, ("FI",), 8192)


def unprotected(country: Country, ask: Ask) -> Aggregate:
    """The answer as computed, without an airlock."""
    plan = plan_of(ask)
    return concatenate([part for part, _ in country.bare.answer(plan, dict(ask.inputs))])


def released(country: Country, ask: Ask) -> Aggregate:
    """What the floors of the default policy leave of an answer, request by request."""
    spool = MemoryArrays()
    plan = plan_of(ask)
    out = country.floored.release(plan, dict(ask.inputs), spool)
    return concatenate([spool.get(number) for number in range(out.judged.shards)])


def approved(site: Site, ask: Ask) -> tuple[Aggregate, bool]:
    """What an officer lets out who approves whatever can be approved; whether they were asked.

    Raises
    ------
    Refused
        The policy leaves it to nobody.
    """
    spool = MemoryArrays()
    assert site.airlock is not None
    judged = site.judge(plan_of(ask), dict(ask.inputs), spool)
    reviewed = judged.verdict == "review"
    out = site.airlock.approve(judged, "Ann") if reviewed else site.airlock.release(judged)
    return concatenate([spool.get(number) for number in range(out.judged.shards)]), reviewed


# -- questions -------------------------------------------------------------------------------------


def varying(country: Country) -> NDArray:
    """Rows of the store in which the country's people differ: elsewhere there is nothing to find."""
    dosage = country.genotypes
    return np.flatnonzero(dosage.max(axis=1) > np.where(dosage < 0, 3, dosage).min(axis=1))


def listed(*countries: Country) -> NDArray:
    """Rows that vary in the first site and that all list under the default policy."""
    names = countries[0].store.rows
    own = pd.Index(variants.keys(names))
    rows = varying(countries[0])
    for country in countries:
        part: Any = released(country, Ask(VariantList, VariantListParameters()))
        theirs = own.get_indexer(variants.keys(variants.decode(part.text)))
        rows = np.intersect1d(rows, theirs)
    return rows


def panel(country: Country, rows: NDArray) -> dict[str, NDArray]:
    """These rows of the store as a plan names them."""
    return {"panel": variants.encode(country.store.rows.iloc[rows])}


def counts(country: Country, rows: NDArray, by: str | None = None) -> Ask:
    """Genotype counts of everybody, or of the two halves of a column as well."""
    asked = GenotypeCountsParameters(by=(by,) if by else (), groups=("0", "1") if by else ())
    return Ask(GenotypeCounts, asked, panel(country, rows), rows.size)


def linear(
    kind: type[Aggregate],
    country: Country,
    rows: NDArray,
    traits: tuple[str, ...],
    covariates: tuple[str, ...] = (),
) -> Ask:
    """Row sums of a linear model on origin 0 and scale 1."""
    asked = LinearParameters(
        traits=traits,
        groups=(0,) * len(traits),
        covariates=covariates,
        pca=None,
        trait_mean=(0.0,) * len(traits),
        trait_scale=(1.0,) * len(traits),
        covariate_mean=(0.0,) * len(covariates),
        covariate_scale=(1.0,) * len(covariates),
        site_effects=kind.statistic == "linear_mean",
    )
    return Ask(kind, asked, panel(country, rows), rows.size)


def projections(
    country: Country, rows: NDArray, columns: int, requests: int
) -> tuple[list[Ask], NDArray]:
    """Requests for random projections, and the frequencies that they standardize with.

    The attacker chooses those as well: with 1/2 everywhere, nothing is lost to centring.
    """
    rng = np.random.default_rng(11)
    frequency = np.full(rows.size, 0.5)
    asks = []
    for _ in range(requests):
        loadings = rng.standard_normal((rows.size, columns))
        inputs = panel(country, rows) | {"frequency": frequency, "loadings": loadings}
        asks.append(Ask(ProjectionSums, ProjectionParameters(), inputs, rows.size))
    return asks, frequency

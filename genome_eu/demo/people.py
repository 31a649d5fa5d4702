"""The demo's people: who lives at which site, and a trait simulated from their genotypes."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd

from genome_eu.federation.single import Cohort

#: Sites of the demo and the 1000 Genomes population that stands for each. The CEU people, who
#: live in Utah, are left out.
SITES = {"ES": "IBS", "FI": "FIN", "GB": "GBR", "IT": "TSI"}

#: The name says what it is wherever it is shown.
TRAIT = "simulated_trait"

_SEED = 2026
_CAUSAL = 6
_EFFECT = 0.75


def source() -> Path:
    """The PLINK files that come with the package."""
    return Path(str(resources.files("genome_eu.demo"))) / "data" / "kg_eur.bed"


def people() -> pd.DataFrame:
    """Sample table of the four sites' people: sex, population, country."""
    table = pd.read_csv(source().with_name("samples.tsv"), sep="\t", dtype=str)
    country = {population: site for site, population in SITES.items()}
    table = table[table["population"].isin(country)]
    return table.assign(country=table["population"].map(country)).reset_index(drop=True)


def simulate(pooled: Cohort) -> pd.Series:
    """A trait from a few common variants, sex, country and chance; indexed by sample id."""
    rng = np.random.default_rng(_SEED)
    frequency = pooled.frequencies()["variant_allele_frequency"].values[:, 1]
    common = np.flatnonzero((frequency > 0.2) & (frequency < 0.8))
    causal = np.sort(rng.choice(common, _CAUSAL, replace=False))
    dosage = pooled.dosages(causal).astype(float)
    dosage -= dosage.mean(axis=1, keepdims=True)
    sign = np.where(np.arange(_CAUSAL) % 2 == 0, 1.0, -1.0)
    table = pooled.samples
    value = (
        _EFFECT * sign @ dosage
        + 0.5 * (table["sex"].to_numpy() == "M")
        + table["country"].map({"ES": 0.0, "FI": 1.0, "GB": 0.5, "IT": -0.5}).to_numpy()
        + rng.standard_normal(len(table))
    )
    return pd.Series(np.round(value, 4), index=table.index, name=TRAIT)

"""Studies with secure sums for tests: plans, keys that are the same in every run, and aggregates."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from genome_eu.disclosure.policy import load_policy
from genome_eu.federation import secure_sum
from genome_eu.federation.plan import Plan
from genome_eu.federation.secure_sum import Floors, Ready
from genome_eu.federation.secure_sum.ranges import agreed_range
from genome_eu.stats import counts, linear, pca, traits, variants  # noqa: F401  declare themselves
from genome_eu.stats.aggregate import AGGREGATES, Aggregate, declared, has_rows

PEOPLE = 1000
SIZES = {
    "nulls": 3,
    "parameters": 3,
    "tails": 2,
    "rows": 12,
    "band": 3,
    "groups": 2,
    "covariates": 2,
    "traits": 3,
    "width": 4,
    "components": 3,
}
SIZES |= {"folds": 2, "block": 4, "predictors": 3, "fits": 2, "chromosomes": 2}
SIZES |= {"scores": 2, "bins": 5}
_LINEAR = {
    "traits": ["ldl", "hdl", "bmi"],
    "groups": [0, 0, 1],
    "covariates": ["age", "sex"],
    "pca": None,
    "trait_mean": [0.0] * 3,
    "trait_scale": [1.0] * 3,
    "covariate_mean": [0.0] * 2,
    "covariate_scale": [1.0] * 2,
    "site_effects": True,
}

SUMMABLE = sorted(
    name
    for name, kind in AGGREGATES.items()
    if kind.__module__.startswith("genome_eu.") and secure_sum.summable(kind)
)


def names(number: int) -> tuple[str, ...]:
    return tuple(f"S{place}" for place in range(number))


def _parameters(statistic: str) -> dict:
    """Those of a model, where the answer has groups of traits."""
    if statistic.startswith("ridge"):
        asked = _LINEAR | {"groups": [0, 0, 0]}
        step_two = statistic.startswith(("ridge_score", "ridge_residuals"))
        return asked | ({"wgr": "0" * 16} if step_two else {"folds": 2})
    return _LINEAR if statistic.startswith("linear") else {}


def plan_of(statistic: str, sites: Sequence[str] = names(3), **more) -> Plan:
    kind = AGGREGATES[statistic]
    asked = {
        "study": "study",
        "round": 3,
        "sites": tuple(sites),
        "reader": "hub",
        "secure_sum": True,
        "statistic": statistic,
        "version": kind.version,
        "parameters": _parameters(statistic),
        "inputs": {},
        "rows": SIZES["rows"] if has_rows(kind) else 0,
        "rows_per_shard": 8192,
    }
    return Plan(**asked | more)


def aggregate(statistic: str, seed: int = 0, *, fill: float | None = None) -> Aggregate:
    """Values of a statistic within what 1,000 people can give: random, or all the same."""
    kind, rng = AGGREGATES[statistic], np.random.default_rng(seed)
    plan = plan_of(statistic)
    values = {}
    for item in declared(kind):
        shape = [SIZES[name] for name in item.metadata["dims"]]
        if item.metadata["merge"] == "every":
            values[item.name] = np.ones(shape, bool)
        elif item.name == "trait_group":
            values[item.name] = np.array(_parameters(statistic)["groups"])
        elif item.metadata["merge"] == "same":
            values[item.name] = np.array(SIZES["components"])
        elif item.name == "pattern":
            values[item.name] = np.zeros(shape, np.int64)
        elif fill is not None:
            values[item.name] = np.full(shape, fill, item.metadata["dtype"])
        elif item.metadata["dtype"] is np.int64:
            most = agreed_range(plan, item, PEOPLE).bound
            values[item.name] = rng.integers(0, most + 1, shape)
        else:
            values[item.name] = np.clip(rng.normal(size=shape), -2, 2)
    return kind(**values)


@dataclass(frozen=True)
class Round:
    """One secure sum: the plan, and everybody's secret and ready message."""

    plan: Plan
    secrets: Mapping[str, bytes]
    ready: tuple[Ready, ...]

    def mask(self, site: str, shard: Aggregate, **more):
        given = {
            "plan": self.plan,
            "number": 0,
            "own": site,
            "secret": self.secrets[site],
            "ready": self.ready,
            "people_bound": PEOPLE,
        }
        return secure_sum.mask(shard, **given | more)

    def masked(self, shards: Mapping[str, Aggregate]):
        return {site: self.mask(site, shard) for site, shard in shards.items()}

    def total(self, messages):
        return secure_sum.total(self.plan, messages, people_bound=PEOPLE)


def ready_message(plan: Plan, site: str, secret: bytes, policy: str = "default") -> Ready:
    return Ready(
        plan=plan.hash,
        participants=tuple(sorted(plan.sites)),
        site=site,
        key=secure_sum.public_key(secret),
        policy=Floors.of(load_policy(policy)),
    )


def round_of(plan: Plan, seed: int = 0) -> Round:
    """A round with keys that depend on the seed, the study and the site only."""
    secrets = {
        site: hashlib.sha256(f"{seed} {plan.study} {site}".encode()).digest() for site in plan.sites
    }
    ready = tuple(ready_message(plan, site, secret) for site, secret in secrets.items())
    return Round(plan, secrets, ready)


def changed(message: Ready, **more) -> Ready:
    """Another message, as valid as the first."""
    return Ready(**message.model_dump() | more)

"""Answers that wait for a person, for tests: real bundles of small aggregates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from genome_eu.disclosure import Evidence, Policy, load_policy
from genome_eu.disclosure.case import Case
from genome_eu.disclosure.holding import case_of, open_case
from genome_eu.disclosure.ledger import Ledger
from genome_eu.federation import bundle as bundles
from genome_eu.federation.bundle.writing import write_bundle
from genome_eu.federation.parameters.counts import GenotypeCountsParameters
from genome_eu.federation.plan import Ask, Plan
from genome_eu.stats.aggregate import Aggregate
from genome_eu.stats.counts import GenotypeCounts

COHORT = "c" * 64
SITES = ("ES", "FI", "IT")
PEOPLE = 93


def events(ledger: Ledger) -> list[str]:
    """What was written down, in order."""
    return [entry.event for entry in ledger.entries()]


def counts(rows: int = 40, withheld: int = 7, people: int = PEOPLE) -> GenotypeCounts:
    """Alleles of everybody by row; the first rows are withheld."""
    het = np.full((rows, 1), 20)
    shown = np.ones((rows, 1), bool)
    shown[:withheld] = False
    return GenotypeCounts(
        people=np.array([people]),
        called=np.where(shown, people - 1, 0),
        allele_count=np.where(shown, het, 0),
        het=np.where(shown, het, 0),
        hom_alt=np.zeros((rows, 1), int),
        alleles_shown=shown,
        genotypes_shown=shown,
    )


def plan_of(
    part: Aggregate | None = None,
    *,
    parameters: Any = None,
    study: str = "study",
    number: int = 0,
    sites: tuple[str, ...] = SITES,
    rows: int | None = None,
) -> Plan:
    """The plan that such a part answers."""
    part = counts() if part is None else part
    parameters = parameters or GenotypeCountsParameters(by=(), groups=())
    asked = part.rows if rows is None else rows
    ask = Ask(type(part), parameters, {}, asked)
    return ask.plan(study, number, sites, 8192, reader="hub")


def judged_of(
    plan: Plan, evidence: Sequence[Evidence] = (), people: int = PEOPLE, site: str = "FI"
) -> Any:
    """What an airlock would say of it."""
    doubt = Evidence("seen by a person", 0, 0, 1, "review", "somebody must look at it")
    return SimpleNamespace(
        site=site,
        plan=plan.hash,
        statistic=plan.statistic,
        version=plan.version,
        evidence=tuple(evidence) or (doubt,),
        exposure=SimpleNamespace(people=(np.arange(people, dtype=np.uint64),)),
    )


def answer_file(path: Path, plan: Plan, parts: Sequence[Aggregate], site: str = "FI") -> Path:
    """The clear bundle."""
    arrays = bundles.MemoryArrays()
    for number, part in enumerate(parts):
        arrays.put(number, part)
    manifest = bundles.Manifest(
        kind="answer",
        site=site,
        plan=plan.hash,
        cohort=COHORT,
        statistic=plan.statistic,
        version=plan.version,
        shards=len(parts),
        policy="default",
    )
    write_bundle(path, manifest, arrays.members)
    return path


def hold(
    state: Path,
    ledger: Ledger,
    part: Aggregate | None = None,
    *,
    plan: Plan | None = None,
    policy: Policy | None = None,
    cohort: str = COHORT,
    evidence: Sequence[Evidence] = (),
    people: int = PEOPLE,
    reasons: Sequence[str] = (),
) -> Case:
    """Hold an answer of one shard."""
    part = counts() if part is None else part
    plan = plan or plan_of(part)
    state.mkdir(exist_ok=True)
    path = answer_file(state / "made.tar", plan, [part])
    case = case_of(
        path,
        plan=plan,
        judged=judged_of(plan, evidence, people),
        policy=policy or load_policy("default"),
        cohort=cohort,
        people=people,
        sample=part,
        asker="hub",
        reasons=reasons,
    )
    found = open_case(state, case, path, ledger)
    path.unlink()
    return found

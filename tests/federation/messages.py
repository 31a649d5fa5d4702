"""Sound inputs of every reader, small, for tests that damage them."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from genome_eu.disclosure import Evidence, Judged
from genome_eu.disclosure.budget import Exposure
from genome_eu.disclosure.ledger import Ledger
from genome_eu.federation import secure_sum
from genome_eu.federation.bundle import (
    Bundle,
    MemoryArrays,
    SecureSum,
    write_answer,
    write_masked,
    write_plan,
    write_refusal,
)
from genome_eu.federation.parameters.pca import ProjectionParameters
from genome_eu.federation.parties import Roster
from genome_eu.federation.plan import Ask, Plan, array_digest
from genome_eu.federation.secure_sum import Floors, Ready
from genome_eu.stats.counts import GenotypeCounts
from genome_eu.stats.pca import ProjectionSums
from tests.federation.keyed import SITES, sealed_by

COHORT = "c" * 64
FLOORS = Floors(
    min_people=10,
    allele_floor=10,
    genotype_floor=5,
    association_floor=10,
    missing_floor=5,
    show_zero=True,
)


def projection(rows: int = 5) -> tuple[Plan, dict[str, Any]]:
    """A plan with three arrays, in a federation that sums in secret."""
    inputs = {
        "panel": np.frombuffer(b"1\t100\tA\tC\t.\n" * rows, np.uint8),
        "frequency": np.linspace(0.1, 0.9, rows),
        "loadings": np.arange(rows * 2, dtype=float).reshape(rows, 2),
    }
    ask = Ask(ProjectionSums, ProjectionParameters(), inputs, rows)
    return ask.plan("made", 3, SITES, rows, reader="hub", secure_sum=True), inputs


def plan() -> Any:
    """A plan as JSON."""
    asked = projection()[0].model_dump(mode="json")
    parameters = {"traits": ["ldl"], "covariates": ["sex"], "pca": None}
    return asked | {"statistic": "trait_moments", "parameters": parameters}


def plan_bundle(path: Path, rows: int = 5) -> Path:
    """The plan and its arrays."""
    asked, inputs = projection(rows)
    assert all(array_digest(inputs[name]) == digest for name, digest in asked.inputs.items())
    write_plan(path, asked, inputs)
    return path


def answer(path: Path, rows: int = 4) -> Path:
    """An answer as it was judged."""
    spool = MemoryArrays()
    shown = np.ones((rows, 1), bool)
    many = np.full((rows, 1), 20)
    spool.put(0, GenotypeCounts(np.array([93]), many + 70, many, many, many, shown, shown))
    judged = Judged(
        site="FI",
        plan="a" * 64,
        statistic="genotype_counts",
        version=GenotypeCounts.version,
        shards=1,
        policy="default",
        floors=True,
        evidence=(Evidence("people", 10, 0, 1, "pass"),),
        spool=spool,
        exposure=Exposure(()),
    )
    write_answer(path, judged, COHORT)
    return path


def masked(path: Path) -> Path:
    """The same answer under masks."""
    clear = Bundle(answer(path.with_suffix(".clear")))
    said = SecureSum(context="d" * 64, floors=FLOORS, commitments=("e" * 64,))
    noise = np.random.default_rng(7).integers(0, 2**64, (4, 2), np.uint64)
    write_masked(path, clear, lambda shard: {"called": noise, "het": noise[::-1]}, said)
    return path


def refusal(path: Path) -> Path:
    """What a site says that does not answer."""
    write_refusal(path, "FI", "a" * 64, "policy", "trait ldl has fewer than 10 people")
    return path


def bundles(folder: Path) -> list[bytes]:
    """One of each kind."""
    made = (plan_bundle, answer, masked, refusal)
    return [make(folder / f"{make.__name__}.tar").read_bytes() for make in made]


def cover(folder: Path, roster: Roster) -> Any:
    """What is signed of a message, as JSON."""
    return json.loads(sealed_by("FI", folder, roster)[0].signed)


def ready() -> Any:
    """A ready message as JSON."""
    message = Ready(
        plan="a" * 64,
        participants=SITES,
        site="FI",
        key=secure_sum.public_key(bytes(range(32))),
        policy=FLOORS,
    )
    return json.loads(message.content())


def policies() -> list[str]:
    """The shipped policies under a name of their own."""
    folder = resources.files("genome_eu.disclosure").joinpath("policies")
    texts = [folder.joinpath(f"{name}.toml").read_text() for name in ("default", "open-data")]
    lines = ["\n".join(line for line in text.splitlines() if " = " in line) for text in texts]
    return [text.replace('name = "', 'name = "own-', 1) for text in lines]


def ledger(folder: Path) -> bytes:
    """Four lines."""
    path = folder / "ledger.jsonl"
    book = Ledger(path)
    book.append("opened", cohort=COHORT)
    book.append("request", plan="a" * 64, sites=list(SITES), secure_sum=True, round=3)
    book.append("release", plan="a" * 64, bundle="b" * 64, names=["ldl", "sex"], share=0.5)
    book.append("delivered", plan="a" * 64, message="d" * 64)
    return path.read_bytes()

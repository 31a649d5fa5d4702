"""One round of a GWAS over many rows: what its bundle takes, in time and in memory.

`python -m benchmarks.large_bundle STEP …`, each in a fresh process since peaks are those of it:

    write ROWS FOLDER      a site's answer, judged, sealed and posted
    read ROWS FOLDER       the coordinator fetches it, opens it and reads every shard
    names ROWS             a panel of so many rows as it travels
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data import variant_table
from benchmarks.federation import COVARIATES, SITES
from genome_eu.disclosure import Airlock, load_policy
from genome_eu.disclosure.budget import Exposure
from genome_eu.disclosure.checks import Facts
from genome_eu.federation.bundle import Bundle, FileArrays, write_answer
from genome_eu.federation.carriers.exchange import ANSWER_LIMIT
from genome_eu.federation.carriers.post import Post
from genome_eu.federation.cover import read_cover
from genome_eu.federation.daemon.secure_round import SecureRound
from genome_eu.federation.envelope import seal, unseal
from genome_eu.federation.keys import SecretKeys
from genome_eu.federation.plan import ROWS_PER_SHARD, Plan
from genome_eu.federation.roster import read_roster
from genome_eu.federation.study import Study
from genome_eu.stats import variants
from genome_eu.stats.aggregate import merge
from genome_eu.stats.harmonize import join
from genome_eu.stats.linear import MeanSums

Row = dict[str, Any]

HUB = "hub"
_PEOPLE = 10_000


@dataclass
class Steps:
    """Seconds and peak memory of one step after another."""

    seconds: dict[str, float] = field(default_factory=dict)
    peak: dict[str, int] = field(default_factory=dict)
    _begin: float = field(default_factory=time.perf_counter)

    def done(self, name: str) -> None:
        """A step has ended."""
        now = time.perf_counter()
        self.seconds[name] = now - self._begin
        self.peak[name] = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self._begin = time.perf_counter()


def _plan(rows: int, *, secure: bool) -> Any:

    names = [f"x{number}" for number in range(COVARIATES)]
    parameters = {
        "traits": ["trait"],
        "groups": [0],
        "covariates": names,
        "pca": None,
        "trait_mean": [0.0],
        "trait_scale": [1.0],
        "covariate_mean": [0.0] * COVARIATES,
        "covariate_scale": [1.0] * COVARIATES,
        "site_effects": True,
    }
    return Plan(
        study="large",
        round=3,
        sites=tuple(f"S{number}" for number in range(1, SITES + 1)),
        reader=HUB,
        secure_sum=secure,
        statistic=MeanSums.statistic,
        version=MeanSums.version,
        parameters=parameters,
        inputs={},
        rows=rows,
        rows_per_shard=ROWS_PER_SHARD,
    )


def _shards(plan: Any) -> Iterator[tuple[Any, Any]]:
    """Sums as a site would make them, of no genotypes: numbers of the right size and no pattern."""
    facts = Facts(people=_PEOPLE, groups=(Facts(people=_PEOPLE, smallest_class=_PEOPLE),))
    for number, (start, stop) in enumerate(plan.spans()):
        rng, rows = np.random.default_rng(number), stop - start
        part = MeanSums(
            called=np.full((rows, 1), _PEOPLE),
            allele_count=rng.integers(100, _PEOPLE, (rows, 1)),
            gg=rng.uniform(10, 1000, (rows, 1)),
            gx=rng.standard_normal((rows, 1, COVARIATES)),
            gy=rng.standard_normal((rows, 1)),
            trait_group=np.zeros(1, np.int64),
            shown=np.ones((rows, 1), bool),
        )
        yield part, facts


def _parties(folder: Path) -> tuple[Any, dict[str, Any]]:
    """The roster of the bundle, and everybody's keys."""
    names = [HUB, *(f"S{number}" for number in range(1, SITES + 1))]
    path = folder / "federation.toml"
    if not path.exists():
        lines = ['name = "large"', "serial = 1", 'exchange = "exchange"']
        for name in names:
            keys = SecretKeys.new()
            keys.write(folder / f"{name}.key")
            lines += ["[coordinator]" if name == HUB else "[[site]]", f'name = "{name}"']
            lines += [keys.public.lines()]
        path.write_text("\n".join(lines) + "\n")
    return read_roster(path), {name: SecretKeys.read(folder / f"{name}.key") for name in names}


def write(rows: int, folder: Path, *, secure: bool) -> Row:
    """One site's answer, from its shards to the exchange."""
    roster, keys = _parties(folder)
    (folder / "exchange").mkdir(exist_ok=True)
    plan, steps = _plan(rows, secure=secure), Steps()
    clear, sealed = folder / "answer.tar", folder / "sealed"
    with tempfile.TemporaryDirectory(dir=folder) as spool:
        judged = Airlock(load_policy("open-data")).judge(
            _shards(plan),
            Exposure(people=()),
            site="S1",
            plan=plan.hash,
            statistic=plan.statistic,
            version=plan.version,
            spool=FileArrays(Path(spool)),
            floors=not secure,
        )
        steps.done("make and judge")
        write_answer(clear, judged, "0" * 64)
        steps.done("bundle")
    if secure:
        clear = _masked(folder, plan, clear)
        steps.done("mask")
    cover = seal(
        clear,
        sealed,
        roster=roster,
        keys=keys["S1"],
        study=plan.study,
        round=plan.round,
        kind="answer",
        sender="S1",
        plan=plan.hash,
        readers=(HUB,),
    )
    steps.done("seal")
    Post(str(folder / "exchange")).publish(cover.name, sealed, cover.content, cover.parts)
    steps.done("post")
    members = len(Bundle(clear).manifest.members)
    sealed.unlink()
    return {
        "bytes": clear.stat().st_size,
        "sealed_bytes": cover.bytes,
        "cover_bytes": len(cover.content),
        "members": members,
        "seconds": steps.seconds,
        "peaks": steps.peak,
    }


def _masked(folder: Path, plan: Any, clear: Path) -> Path:
    """The answer under masks, in a round of five sites that are all ready."""
    rounds = []
    for site in plan.sites:
        place = folder / f"round-{site}"
        place.mkdir(exist_ok=True)
        rounds.append(SecureRound(place, plan, site=site, policy=load_policy("open-data")))
    for site, one in zip(plan.sites, rounds, strict=True):
        rounds[0].take(site, one.message().read_bytes())
    wire = folder / "wire.tar"
    rounds[0].write(Bundle(clear), wire)
    return wire


def read(rows: int, folder: Path, *, secure: bool) -> Row:
    """The coordinator's side of it: fetched, opened, verified, kept, and read shard by shard."""
    roster, keys = _parties(folder)
    plan, post = _plan(rows, secure=secure), Post(str(folder / "exchange"))
    name, steps = f"{plan.study}/{plan.round:04d}/S1.answer", Steps()
    sealed, clear = folder / "fetched", folder / "S1.tar"
    cover = read_cover(post.cover(name) or b"", roster, name=name, plan=plan.hash)
    post.fetch(name, cover.parts, sealed)
    steps.done("fetch")
    unseal(sealed, cover, keys[HUB], clear, ANSWER_LIMIT)
    sealed.unlink()
    steps.done("unseal")
    bundle = Bundle(clear)
    steps.done("open")
    study = Study(folder / "study", {"ask": "gwas"}, plan.sites)
    study.round(plan.round).mkdir(parents=True, exist_ok=True)
    study.keep(plan, "S1", clear)
    steps.done("verify and keep")
    for number in range(len(plan.spans())):
        if secure:
            bundle.masked(number)
        else:
            # As if all sites had sent the same.
            merge([bundle.shard(number)] * SITES)
    steps.done("read and add")
    return {"seconds": steps.seconds, "peaks": steps.peak}


def names(rows: int) -> Row:
    """A variant list as text and back, as every site and the coordinator do it."""
    table = variant_table(rows).rename(columns={"a1": "alt", "a2": "ref"})
    table = table.astype({"contig": str})[["contig", "position", "ref", "alt", "id"]]
    steps = Steps()
    steps.done("make")
    text = variants.encode(table)
    steps.done("encode")
    del table
    decoded = variants.decode(text)
    steps.done("decode")
    join({"A": decoded, "B": decoded}, "intersection")
    steps.done("join")
    return {"bytes": int(text.size), "seconds": steps.seconds, "peaks": steps.peak}


def main() -> None:
    """Run one step."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_bundle")
    parser.add_argument("step", choices=("write", "read", "names"))
    parser.add_argument("rows", type=int)
    parser.add_argument("folder", type=Path, nargs="?", help="where files are kept between steps")
    parser.add_argument("--secure", action="store_true", help="under masks")
    parser.add_argument("--out", type=Path, help="write what was found as JSON")
    given = parser.parse_args()
    if given.step == "names":
        found = names(given.rows)
    else:
        step = {"write": write, "read": read}[given.step]
        found = step(given.rows, given.folder, secure=given.secure)
    print(json.dumps(found, indent=1))
    if given.out:
        given.out.write_text(json.dumps(found))


if __name__ == "__main__":
    main()

"""Run the demonstration: import, four site processes, three questions, comparison, report."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.atomic import write_whole
from genome_eu.cohort import import_genotypes
from genome_eu.demo.people import SITES, TRAIT, people, simulate, source
from genome_eu.errors import BadInput, NoAnswer, Refused
from genome_eu.federation.keys import SecretKeys
from genome_eu.federation.opening import federate, open_federation
from genome_eu.federation.questions import Run
from genome_eu.federation.roster import accept_roster, sign_roster
from genome_eu.federation.single import Cohort, open_cohort
from genome_eu.report import write_report
from genome_eu.results import FrequencyResult, GwasResult, PcaResult, join

COMPONENTS = 4
#: The genotypes are public; every result made under this policy says so.
POLICY = "open-data"
HUB = "hub"
_SITE_IDLE_S = 120
_START_TIMEOUT_S = 60

Say = Callable[[str], None]


@dataclass(frozen=True)
class Difference:
    """The largest difference of a federated number from the pooled one."""

    what: str
    largest: float
    compared: int


@dataclass(frozen=True)
class Demo:
    """What the demonstration made."""

    folder: Path
    report: Path
    runs: dict[str, Run]
    differences: list[Difference]
    refusals: dict[str, str]
    seconds: float


def run(folder: Path, say: Say) -> Demo:
    """Run everything in `folder`, which must not exist or be empty.

    Raises
    ------
    BadInput
        The folder holds something.
    NoAnswer
        A site's process did not start or stopped.
    """
    begun = time.monotonic()
    if folder.exists() and any(folder.iterdir()):
        raise BadInput(f"{folder} is not empty; choose another folder with --out")
    folder.mkdir(parents=True, exist_ok=True)

    say("1000 Genomes people of Finland, Great Britain, Spain and Italy become four cohorts")
    pooled = _cohorts(folder)
    with _sites(folder, say):
        eu = open_federation(folder / "federation.toml", studies=folder / "studies")
        runs: dict[str, Run] = {}
        say("asking for allele frequencies by country")
        runs["frequencies"], shards = eu.frequency_shards("country")
        frequencies: FrequencyResult = join(list(shards))
        say(f"asking for {COMPONENTS} principal components")
        runs["pca"], pcs = eu.pca_run(COMPONENTS)
        say(f"asking for a GWAS of {TRAIT}")
        runs["gwas"], tests = eu.gwas_shards(TRAIT, covariates="sex", pcs=pcs)
        hits: GwasResult = join(list(tests))
    hits.attrs["simulated"] = json.dumps([TRAIT])
    say("asking the same of sites with the default policy, for cohorts that are not public")
    refusals = _refusals(folder)

    say("comparing with the pooled genotypes, which only this demonstration may do")
    differences = _compare(pooled, frequencies, pcs, hits)
    frequencies.to_files(folder / "frequencies")
    pcs.to_files(folder / "pca")
    hits.to_files(folder / "gwas")
    for name, record in runs.items():
        content = json.dumps(record.provenance(), indent=1, sort_keys=True).encode()
        write_whole(folder / name / "result.json", content)
    report = folder / "report.html"
    write_report(
        report,
        "genome_eu demonstration: four countries, one answer",
        {"frequencies": frequencies, "pca": pcs, "gwas": hits},
        releases=by_site(runs),
        differences=[vars(item) for item in differences],
        provenance={
            name: record.provenance() | {"releases": None} for name, record in runs.items()
        },
    )
    return Demo(folder, report, runs, differences, refusals, time.monotonic() - begun)


def _cohorts(folder: Path) -> Cohort:
    """The pooled cohort, for comparison and to simulate the trait, and one cohort a site."""
    table = people()
    everybody = folder / "pooled" / "samples.tsv"
    everybody.parent.mkdir()
    for site in SITES:
        # One intercept per site in the pooled fit; one of them is implied.
        table[f"at_{site}"] = (table["country"] == site).astype(int)
    table.to_csv(everybody, sep="\t", index=False)
    store = everybody.with_name("pooled.vcz")
    _import(everybody, store)
    table = table.set_index("sample_id").join(simulate(open_cohort(store))).reset_index()
    table.to_csv(everybody, sep="\t", index=False)
    _import(everybody, store)

    (folder / "exchange").mkdir()
    for site in SITES:
        place = folder / "sites" / site
        place.mkdir(parents=True)
        own = table.loc[
            table["country"] == site, ["sample_id", "sex", "population", "country", TRAIT]
        ]
        own.to_csv(place / "samples.tsv", sep="\t", index=False)
        _import(place / "samples.tsv", place / f"{site.lower()}.vcz")
        settings = {
            "name": site,
            "cohort": f"{site.lower()}.vcz",
            "exchange": "../../exchange",
            "keys": f"{site}.key",
            "policy": POLICY,
        }
        lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
        write_whole(place / "site.toml", lines.encode())
    _roster(folder)
    return open_cohort(store)


def _roster(folder: Path) -> None:
    """Keys for everybody, the roster that the coordinator signs, and every site's acceptance."""
    hub = SecretKeys.new()
    hub.write(folder / f"{HUB}.key")
    lines = ['name = "demo"', "serial = 1", 'exchange = "exchange"', "timeout_s = 120", ""]
    lines += ["[coordinator]", f'name = "{HUB}"', hub.public.lines()]
    for site in SITES:
        keys = SecretKeys.new()
        keys.write(folder / "sites" / site / f"{site}.key")
        lines += ["[[site]]", f'name = "{site}"', f'country = "{site}"', keys.public.lines()]
    path = folder / "federation.toml"
    write_whole(path, "\n".join(lines).encode())
    sign_roster(path, hub)
    for site in SITES:
        accept_roster(folder / "sites" / site / "state", path)


def _refusals(folder: Path) -> dict[str, str]:
    """What sites with the default policy say to the same questions, in the words of the first."""
    cohorts = {site: open_cohort(folder / "sites" / site / f"{site.lower()}.vcz") for site in SITES}
    said = {}
    for name, ask in {
        "frequencies": lambda eu: eu.frequencies("country"),
        "pca": lambda eu: eu.pca(COMPONENTS),
        "gwas": lambda eu: eu.gwas(TRAIT, covariates="sex"),
    }.items():
        try:
            ask(federate(cohorts, policy="default"))
            said[name] = "answered"
        except Refused as error:
            said[name] = str(error)
    return said


def _import(samples: Path, store: Path) -> None:
    """The listed people of the public genotypes as a cohort."""
    import_genotypes(
        source(), store, samples=samples, allow_unlisted=True, build="GRCh37", overwrite=True
    )


@contextlib.contextmanager
def _sites(folder: Path, say: Say) -> Iterator[None]:
    """Four processes, each serving its own cohort; stopped when the block ends."""
    running: dict[str, subprocess.Popen[bytes]] = {}
    logs = []
    # One thread of linear algebra each: four sites share this machine.
    quiet = dict(os.environ, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    try:
        for site in SITES:
            log = (folder / "sites" / site / "log.txt").open("wb")
            logs.append(log)
            command = [sys.executable, "-m", "genome_eu.cli.main", "site", "serve"]
            command += [str(folder / "sites" / site / "site.toml")]
            running[site] = subprocess.Popen(
                [*command, "--idle-exit", str(_SITE_IDLE_S)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=quiet,
            )
            say(f"site {site} serves its cohort in process {running[site].pid}")
        for site, process in running.items():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.2)
                raise NoAnswer(
                    f"the process of site {site} stopped; see {folder / 'sites' / site / 'log.txt'}"
                )
        yield
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            try:
                process.wait(timeout=_START_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for log in logs:
            log.close()


def _compare(
    pooled: Cohort, frequencies: FrequencyResult, pcs: PcaResult, hits: GwasResult
) -> list[Difference]:
    """Federated numbers against pooled ones, on the rows that the sites let out."""
    panel = _rows(hits)
    together = pooled.on_rows(panel)
    all_pcs = together.pca(COMPONENTS)
    sites = [f"at_{site}" for site in SITES][1:]
    fit = together.gwas(TRAIT, covariates=["sex", *sites], pcs=all_pcs)
    counted = together.frequencies("country")

    def differ(what: str, ours: NDArray, theirs: NDArray, scale: NDArray | float) -> Difference:
        with np.errstate(invalid="ignore"):
            gap = np.abs(ours - theirs) / scale
        known = gap[np.isfinite(gap)]
        return Difference(what, float(known.max(initial=0.0)), int(known.size))

    def counts(dataset: FrequencyResult, name: str) -> NDArray:
        return np.where(frequencies[name].values < 0, np.nan, dataset[name].values)

    def tests(dataset: GwasResult, name: str) -> NDArray:
        return np.asarray(dataset[f"variant_linreg_{name}"].values)

    log_p = tests(fit, "neg_log10_p")
    eigen = "sample_pca_explained_variance"
    return [
        *(
            differ(label, counts(frequencies, name), counts(counted, name), 1.0)
            for label, name in (
                ("allele count, everybody", "variant_allele_count"),
                ("allele count, by country", "cohort_allele_count"),
                ("heterozygotes, by country", "cohort_n_het"),
            )
        ),
        differ(
            "PCA eigenvalue, relative",
            pcs[eigen].values,
            all_pcs[eigen].values,
            all_pcs[eigen].values,
        ),
        differ(
            "GWAS effect, in standard errors",
            tests(hits, "beta"),
            tests(fit, "beta"),
            tests(fit, "se"),
        ),
        differ(
            "GWAS standard error, relative", tests(hits, "se"), tests(fit, "se"), tests(fit, "se")
        ),
        differ(
            "GWAS -log10 p, relative to max(1, -log10 p)",
            tests(hits, "neg_log10_p"),
            log_p,
            np.maximum(1.0, log_p),
        ),
    ]


def _rows(dataset: Any) -> pd.DataFrame:
    contig = dataset["contig_id"].values[dataset["variant_contig"].values]
    alleles = dataset["variant_allele"].values
    return pd.DataFrame(
        {
            "contig": contig,
            "position": dataset["variant_position"].values.astype(np.int64),
            "ref": alleles[:, 0],
            "alt": alleles[:, 1],
        }
    )


def by_site(runs: dict[str, Run]) -> list[dict[str, Any]]:
    """What left each site for each question: messages, bytes, arrays, and the checks."""
    table: list[dict[str, Any]] = []
    for name, record in runs.items():
        for site in sorted({item["site"] for item in record.releases}):
            own = [item for item in record.releases if item["site"] == site]
            checks: dict[tuple[str, float], dict[str, Any]] = {}
            for check in (check for item in own for check in item["checks"]):
                key = (check["check"], check["limit"])
                worst = checks.setdefault(key, dict(check))
                if check["withheld"] > worst["withheld"]:
                    checks[key] = dict(check)
            table.append(
                {
                    "site": site,
                    "question": name,
                    "messages": len(own),
                    "bytes": sum(item["bytes"] for item in own),
                    "arrays": sum(item["arrays"] for item in own),
                    "policy": own[0]["policy"],
                    "checks": list(checks.values()),
                }
            )
    return table

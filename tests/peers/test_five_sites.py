"""Five sites in five processes that meet on a real SFTP server, against everybody's genotypes.

Secure sums hide each site's numbers; public genotypes are asked under `open-data`. Frequencies, PCA
and a GWAS with its components equal what plain NumPy finds in the pooled genotypes. What the policy
`default` says to the same questions is shown too. Some of the rows are enough for the test;
`GENOME_EU_WHOLE=1` takes all of them.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genome_eu as ge
from genome_eu.errors import Refused
from genome_eu.federation.questions import Run
from genome_eu.results import join
from tests.cohort.genotype_files import write_plink
from tests.federation.processes import HUB, federation
from tests.federation.servers import sftp_server
from tests.peers import oracle
from tests.peers.conftest import Peer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROWS = None if os.environ.get("GENOME_EU_WHOLE") else 2_500
COMPONENTS = 2
TOLERANCE = 1e-9
# Of the PCA: eigenvalues are off by about its square, components by about it.
RESIDUAL = 1e-5
WAIT_S = 300.0


@dataclass
class Answers:
    """One data set at five sites: what they answered together, and what it cost."""

    peer: Peer
    dosage: np.ndarray
    site: np.ndarray
    cohorts: dict[str, Path]
    found: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    sent: dict[str, Counter[str]] = field(default_factory=dict)
    usage: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def covariates(self) -> list[str]:
        """Those of the table; components are computed."""
        return [name for name in self.peer.covariates if not name.startswith("pc")]


@pytest.fixture(scope="module", params=["geuvadis", "kg_eur"])
def answers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """Every question, asked once of sites that serve in processes of their own."""
    peer = request.getfixturevalue(request.param)
    folder = tmp_path_factory.mktemp(f"five-{peer.name}")
    asked = at_sites(peer, folder)
    (folder / "sftp").mkdir()
    with sftp_server(folder / "sftp") as server:
        eu = federation(
            folder / "eu",
            asked.cohorts,
            server.url,
            options=server.options,
            host_key=" ".join(str(server.host_key).split()[:2]),
            timeout_s=WAIT_S,
        )
        with eu.serving():
            for name, ask in questions(asked).items():
                begin = time.monotonic()
                many = ge.open_federation(
                    eu.roster, studies=folder / name, exchange_options=server.options
                )
                assert many.secure_sum
                asked.runs[name], asked.found[name] = ask(many)
                asked.seconds[name] = time.monotonic() - begin
                asked.sent[name] = bytes_by_sender(Path(str(server.folder)), asked.runs[name])
        asked.usage = {site.name: site.usage for site in eu.sites}
    return asked


def questions(asked: Answers) -> dict[str, Callable[[Any], tuple[Run, Any]]]:
    """Each gives its run and what was found."""

    def together(answer: tuple[Run, Any]) -> tuple[Run, Any]:
        run, shards = answer
        return run, join(list(shards))

    return {
        "frequencies": lambda eu: together(eu.frequency_shards(["population", "sex"])),
        "PCA": lambda eu: eu.pca_run(COMPONENTS, tolerance=RESIDUAL),
        "GWAS": lambda eu: together(
            eu.gwas_shards(asked.peer.trait, covariates=asked.covariates, pcs=components(asked, eu))
        ),
    }


def components(asked: Answers, eu: Any) -> Any:
    """The PCA of before, whose scores the sites have kept; of cohorts in this process, a number."""
    return asked.found["PCA"].pca_id if eu.name != "in-process" else COMPONENTS


def at_sites(peer: Peer, folder: Path) -> Answers:
    """A cohort for each population; where there are four, every second Tuscan is the fifth."""
    site = peer.samples["population"].to_numpy(str).astype("U4")
    if "IBS" not in site:
        site[np.flatnonzero(site == "TSI")[::2]] = "TSI2"
    rows = peer.cohort.rows
    step = 1 if ROWS is None else len(rows) // ROWS
    dosage, rows = peer.dosage[::step], rows.iloc[::step]
    variants = list(zip(rows.contig, rows.id, rows.position, rows.alt, rows.ref, strict=True))
    samples = folder / "samples.tsv"
    peer.samples.to_csv(samples, sep="\t", index_label="sample_id", na_rep="NA")
    cohorts = {}
    for name in np.unique(site):
        mine = site == name
        people = [("0", one, 0) for one in peer.samples.index[mine]]
        bed = write_plink(folder / name, people, variants, dosage[:, mine])
        cohorts[str(name)] = folder / f"{name}.vcz"
        table = folder / f"{name}.tsv"
        peer.samples[mine].to_csv(table, sep="\t", index_label="sample_id", na_rep="NA")
        ge.import_genotypes(bed, cohorts[str(name)], samples=table, build="GRCh37")
    assert len(cohorts) == 5
    return Answers(peer, dosage, site, cohorts)


def bytes_by_sender(exchange: Path, run: Run) -> Counter[str]:
    """Sealed bytes that each party has put at the exchange for one question."""
    found: Counter[str] = Counter()
    for path in (exchange / run.study.id).rglob("*"):
        if path.is_file():
            found[path.name.partition(".")[0]] += path.stat().st_size
    return found


def test_every_site_is_a_process_that_sent_sums_under_masks(answers: Answers, shown: Any):
    title = f"{answers.peer.name}, {len(answers.dosage):,} rows"
    for name, run in answers.runs.items():
        assert run.policies == ["open-data"]
        assert run.without_floors == set(answers.cohorts)
        sent = answers.sent[name]
        assert set(sent) == {HUB, *answers.cohorts}
        out = max(count for who, count in sent.items() if who != HUB)
        shown(
            f"{title}, {name}",
            rounds=run.rounds,
            seconds=f"{answers.seconds[name]:.1f}",
            site_sends=f"{out:,} bytes",
            site_receives=f"{sent[HUB]:,} bytes",
        )
    for name, used in answers.usage.items():
        people = int((answers.site == name).sum())
        peak = f"{used['peak_bytes'] / 2**20:.0f} MiB"
        shown(f"{title}, {name}", people=people, cpu=f"{used['cpu']:.1f} s", peak=peak)


def test_counts_are_exactly_the_pooled_ones(answers: Answers):
    found, samples = answers.found["frequencies"], answers.peer.samples
    names = ("n_hom_ref", "n_het", "n_hom_alt", "n_missing")
    exact = oracle.genotype_counts(answers.dosage)
    for column, name in enumerate(names):
        np.testing.assert_array_equal(found[f"variant_{name}"].values, exact[:, column])
    labels = samples["population"] + "_" + samples["sex"]
    shown = [str(label) for label in found["cohort_id"].values]
    assert len(shown) == 2 * samples["population"].nunique()
    for place, label in enumerate(shown):
        mine = (labels == label).to_numpy()
        exact = oracle.genotype_counts(answers.dosage[:, mine])
        for column, name in enumerate(names):
            np.testing.assert_array_equal(
                found[f"cohort_{name}"].values[:, place], exact[:, column], err_msg=label
            )


def scores(answers: Answers) -> np.ndarray:
    """Scores of everybody on the federated loadings, which no party of the federation has."""
    found = np.zeros((answers.dosage.shape[1], COMPONENTS))
    loadings = answers.found["PCA"]["sample_pca_component"].values
    for start in range(0, len(answers.dosage), 8192):
        g = answers.dosage[start : start + 8192].astype(float)
        called = g >= 0
        p = np.where(called, g, 0).sum(axis=1) / np.maximum(2 * called.sum(axis=1), 1)
        spread = np.sqrt(2 * p * (1 - p))
        z = (g - 2 * p[:, None]) / np.where(spread > 0, spread, np.inf)[:, None]
        found += np.where(called, z, 0).T @ loadings[start : start + 8192]
    return found


def test_components_are_the_pooled_ones(answers: Answers, shown: Any):
    found = answers.found["PCA"]
    assert "sample_pca_projection" not in found
    values, vectors = oracle.principal_components(answers.dosage)
    ours = scores(answers)
    ours /= np.linalg.norm(ours, axis=0)
    off = {
        "eigenvalues": np.abs(
            found["sample_pca_explained_variance"].values / values[:COMPONENTS] - 1.0
        ).max(),
        "components": (1.0 - np.abs((ours * vectors[:, :COMPONENTS]).sum(axis=0))).max(),
    }
    shown(f"{answers.peer.name}, PCA", **{name: float(value) for name, value in off.items()})
    assert max(off.values()) <= TOLERANCE


def test_tests_are_the_pooled_ones(answers: Answers, shown: Any):
    found, peer = answers.found["GWAS"], answers.peer
    trait = peer.samples[[peer.trait]].to_numpy(float)
    known = ~np.isnan(trait[:, 0])
    named = [peer.covariates.index(name) for name in answers.covariates]
    x = np.column_stack([peer.x[:, named], scores(answers)])[known]
    tested = found["variant_linreg_errcode"].values[:, 0] == "."
    assert tested.mean() > 0.9
    exact = oracle.fit_imputed(
        answers.dosage[tested][:, known], x, trait[known], answers.site[known]
    )
    names = ("beta", "se", "neg_log10_p")
    ours = {name: found[f"variant_linreg_{name}"].values for name in names}
    off = oracle.distances(ours, exact, tested)
    shown(f"{peer.name}, GWAS", tests=f"{int(tested.sum()):,}", **off)
    assert (found["variant_linreg_df"].values[tested] == exact["df"]).all()
    assert max(off.values()) <= TOLERANCE


def test_the_default_policy_answers_none_of_it_unasked(answers: Answers, shown: Any):
    cohorts = {name: ge.open_cohort(path) for name, path in answers.cohorts.items()}
    for name, ask in questions(answers).items():
        with pytest.raises(Refused) as refused:
            ask(ge.federate(cohorts, policy="default"))
        shown(f"{answers.peer.name}, default policy, {name}", says=str(refused.value))

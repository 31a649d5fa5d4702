"""Secure sums over an exchange: the same numbers, and nobody's own."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import genome_eu as ge
from genome_eu.disclosure import load_policy
from genome_eu.disclosure.holding import held
from genome_eu.disclosure.publisher import floors_only, published
from genome_eu.errors import BadInput, BundleError, NoAnswer, Refused, UsageError
from genome_eu.federation.answer import Answer, from_bundle
from genome_eu.federation.bundle import Bundle
from genome_eu.federation.carriers.post import Post
from genome_eu.federation.coordinator import Federation
from genome_eu.federation.daemon.desk import Desk
from genome_eu.federation.parameters.counts import GenotypeCountsParameters
from genome_eu.federation.parameters.linear import TraitMomentsParameters
from genome_eu.federation.plan import Ask, Plan
from genome_eu.federation.roster import read_roster
from genome_eu.federation.secure_sum import Floors
from genome_eu.formats.weights import Weights
from genome_eu.stats import variants
from genome_eu.stats.aggregate import merge
from genome_eu.stats.counts import GenotypeCounts
from genome_eu.stats.traits import TraitMoments
from tests.federation import small_sites
from tests.federation.exchanges import (
    arrived,
    asked,
    desk_of,
    events,
    name_of,
    posted,
    roster,
    served,
    site_of,
    state_of,
)
from tests.federation.interruptions import killed_at
from tests.federation.policies import NO_MEMORY, policy_file
from tests.federation.small_sites import Made, make

SITES = ("ES", "FI", "IT")
MOMENTS = Ask(TraitMoments, TraitMomentsParameters(traits=("ldl",), covariates=("age",), pca=None))


def assert_same(found: xr.Dataset, expected: xr.Dataset) -> None:
    """Counts to the last, sums within what fixed point says of itself."""
    for name, variable in expected.data_vars.items():
        if "sites" in variable.dims or str(name).startswith("variant_n_sites"):
            continue  # nobody's own
        got, want = found[name].values, variable.values
        if want.dtype.kind == "f":
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9, err_msg=name)
        else:
            np.testing.assert_array_equal(got, want, err_msg=name)


def local(made: dict[str, Made], *names: str, policy: str = "open-data") -> Federation:
    """The same sites in this process, without masks."""
    cohorts = {name: ge.open_cohort(made[name].store) for name in names or made}
    return ge.federate(cohorts, policy=policy)


def everything(
    made: dict[str, Made],
    folder: Path,
    plan: Plan,
    policies: dict[str, Path] | None = None,
) -> Any:
    """What the coordinator learns of three sites once all have answered."""
    working = [
        desk_of(made[name], folder, (policies or {}).get(name, "open-data")) for name in SITES
    ]
    for _ in range(2):
        for desk in working:
            desk.attend()
    return Answer(
        plan,
        {
            desk.site.name: from_bundle(arrived(desk, plan, folder), plan, desk.site.name)
            for desk in working
        },
    ).whole()


# -- the same numbers --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def masked(made, tmp_path_factory) -> Iterator[tuple[Federation, Path]]:
    """Three sites that serve, and the folder in which studies are kept."""
    folder = tmp_path_factory.mktemp("masked")
    path = roster(folder, list(SITES), secure_sum=True)
    with served(*(desk_of(site, folder, "open-data") for site in made.values())):
        yield ge.open_federation(path, studies=folder / "studies"), folder


def _weights() -> Weights:
    """A score of forty rows."""
    rows = small_sites.variants()[30:70]
    lines = pd.DataFrame(
        [(contig, position, alt, ref) for contig, _, position, alt, ref in rows],
        columns=["contig", "position", "effect_allele", "other_allele"],
    )
    return Weights(lines, np.linspace(-1, 1, 40)[:, None], ("score",))


# As many columns as the folds of the smallest site allow.
WGR = {"block": 14, "folds": 2, "heritability": (0.5,), "min_frequency": 0.1}
# Men are the controls, women the cases.
LOGISTIC = {"model": "logistic", "case_control_12": True, "cutoff": 1.0}
GIVEN = pd.DataFrame(
    [(contig, position, ref, alt) for contig, _, position, alt, ref in small_sites.variants()],
    columns=["contig", "position", "ref", "alt"],
)
QUESTIONS = {
    "frequencies": lambda eu: eu.frequencies(["sex"]),
    "gwas mean": lambda eu: eu.gwas(["ldl", "crp"], covariates=["age", "sex"]),
    "gwas drop": lambda eu: eu.gwas("ldl", covariates=["age"], missing="drop"),
    "formula": lambda eu: eu.gwas(
        "ldl",
        covariates="age + C(population) + age:sex",
        transform="rint",
        condition_on="2:12000:T:C",
    ),
    "scores": lambda eu: eu.score(_weights(), by="sex"),
    "gwas without site effects": lambda eu: eu.gwas("crp", site_effects=False),
    "dosages": lambda eu: eu.dosage_frequencies(),
    "gwas of dosages": lambda eu: eu.gwas(
        "ldl", covariates=["age"], dosages=True, min_info=0.9, min_maf=0.3
    ),
    "gwas of dosages drop": lambda eu: eu.gwas("ldl", missing="drop", dosages=True),
    "pca": lambda eu: eu.pca(2),
    "wgr": lambda eu: eu.gwas("ldl", covariates=["age"], model="wgr", wgr=WGR),
    "logistic": lambda eu: eu.gwas("sex", covariates=["age"], **LOGISTIC),
    "saddlepoint": lambda eu: eu.gwas("sex", test="spa", site_effects=False, **LOGISTIC),
    "logistic fits": lambda eu: eu.gwas(
        "sex", covariates=["age"], missing="drop", test="hybrid", **LOGISTIC | {"cutoff": 0}
    ),
    "union": lambda eu: eu.frequencies(["sex"], panel="union"),
    "prune": lambda eu: eu.prune("10kb", r2=0.1, keep_long_range=True),
    "prune filled": lambda eu: eu.prune(20, r2=0.1, keep_long_range=True, missing="fill"),
    "frequencies in one round": lambda eu: eu.on_rows(GIVEN).in_one_round().frequencies(),
    "limits": lambda eu: eu.filtered({"people": {"min_f": -0.9}}).frequencies(),
    "wgr binary": lambda eu: eu.gwas(
        "sex", model="wgr", wgr=WGR | {"binary": True}, test="score", case_control_12=True
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_secure_sum_gives_the_numbers_of_a_plain_one(masked, made, question):
    eu, _ = masked
    assert_same(QUESTIONS[question](eu), QUESTIONS[question](local(made)))


def test_a_union_has_rows_that_only_some_sites_have(made, tmp_path):
    """Who lacks a row is not told apart from who carries it in nobody: the total is the pooled."""
    keep = np.r_[0:50, 70 : small_sites.ROWS]
    fewer = made | {"FI": make(tmp_path / "fewer", "FI", keep=keep)}
    path = roster(tmp_path, list(SITES), secure_sum=True)
    with served(*(desk_of(site, tmp_path, "open-data") for site in fewer.values())):
        eu = ge.open_federation(path, studies=tmp_path / "studies")
        found = eu.frequencies(panel="union")
    assert found.sizes["variants"] == small_sites.ROWS
    assert_same(found, local(fewer).frequencies(panel="union"))


def test_a_linear_model_in_one_round_is_refused(masked):
    eu, _ = masked
    with pytest.raises(UsageError, match="cannot be summed in secret in one round"):
        eu.on_rows(GIVEN).in_one_round().gwas("ldl", missing="drop")


@pytest.mark.slow
def test_a_row_to_condition_on_is_imputed_as_in_the_pooled_people_or_refused(masked, made):
    """Row 8 lacks a call at each site: its mean is a site's own, which one intercept is not."""
    eu, _ = masked
    ask = {"condition_on": "1:10400:T:C"}
    assert_same(eu.gwas("ldl", **ask), local(made).gwas("ldl", **ask))
    for federation in (eu, local(made)):
        with pytest.raises(BadInput, match="only with site effects"):
            federation.gwas("ldl", site_effects=False, **ask)
    ask = {"condition_on": "2:12000:T:C", "site_effects": False}
    assert_same(eu.gwas("ldl", **ask), local(made).gwas("ldl", **ask))


def test_what_the_coordinator_keeps_of_a_site_is_masks(masked):
    eu, folder = masked
    eu.frequencies(["population"])
    kept = [Bundle(path) for path in (folder / "studies").glob("freq*/rounds/0002/[EFI][SIT].tar")]
    assert len(kept) >= 3
    for bundle in kept:
        with pytest.raises(BundleError, match="is under masks; only a sum can be read"):
            bundle.shard(0)
        for array in bundle.masked(0).values():
            assert array.dtype == np.uint64
            # Counts of forty people would be small; bits under masks are even, if they are many.
            assert array.size < 8 or 0.4 < np.mean(np.unpackbits(array.view(np.uint8))) < 0.6


def test_masks_of_two_rounds_do_not_cancel(masked):
    eu, folder = masked
    for by in ("sex", "population"):
        eu.frequencies([by])
    rounds = sorted((folder / "studies").glob("freq*/rounds/0002"))[:2]
    plans = [Bundle(place / "plan.tar").manifest.content for place in rounds]
    answers = {
        site: from_bundle(Bundle(rounds[0] / f"{site}.tar"), plans[0], site) for site in SITES
    }
    other = from_bundle(Bundle(rounds[1] / "FI.tar"), plans[1], "FI")
    with pytest.raises(BundleError, match="masks belong to different rounds"):
        Answer(plans[0], answers | {"FI": other})


# -- floors are the publisher's ----------------------------------------------------------------


def test_the_publisher_applies_the_strictest_floors_to_the_total(made, tmp_path):
    loose = {"allele_floor": 0, "association_floor": 0, **NO_MEMORY}
    policies = {
        name: policy_file(tmp_path, name=f"of-{name}", genotype_floor=floor, **loose)
        for name, floor in (("ES", 3), ("FI", 12), ("IT", 5))
    }
    path = roster(tmp_path, list(SITES), secure_sum=True)
    sites = [site_of(site, "open-data") for site in made.values()]
    panel = variants.encode(sites[0].store.names(sites[0].own_rows))
    parameters = GenotypeCountsParameters(by=("sex",), groups=("F", "M"))
    ask = Ask(GenotypeCounts, parameters, {"panel": panel}, sites[0].own_rows.size)
    plan = asked(ask, SITES, secure_sum=True)
    posted(Post(str(tmp_path / "exchange")), read_roster(path), plan, ask.inputs)
    found = everything(made, tmp_path, plan, policies)

    total = merge([next(iter(site.answer(plan, dict(ask.inputs))))[0] for site in sites])
    strictest = Floors.strictest(Floors.of(load_policy(path)) for path in policies.values())
    assert strictest.genotype_floor == 12
    expected = published(total, floors_only(strictest.model_dump()))
    hidden = ~expected.genotypes_shown
    assert 0 < hidden.sum() < hidden.size
    for item in fields(GenotypeCounts):
        got, want = getattr(found, item.name), getattr(expected, item.name)
        np.testing.assert_array_equal(got, want, err_msg=item.name)


# -- who takes part ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def four(made, tmp_path_factory) -> dict[str, Made]:
    """A site more, so that one can stay away."""
    return made | {"PT": make(tmp_path_factory.mktemp("pt"), "PT", people=39)}


def desks(four: dict[str, Made], folder: Path, *names: str) -> list[Desk]:
    return [desk_of(four[name], folder, "open-data") for name in names]


@pytest.mark.slow
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "masked"])
def test_a_study_goes_on_without_a_site_that_stays_away(four, tmp_path, secure):
    path = roster(tmp_path, list(four), timeout_s=1.5, secure_sum=secure)
    studies = tmp_path / "studies"
    with (
        served(*desks(four, tmp_path, *SITES)),
        pytest.raises(NoAnswer, match="site PT to round 0.*--without PT"),
    ):
        ge.open_federation(path, studies=studies).frequencies(["sex"])
    path = roster(tmp_path, list(four), timeout_s=60, secure_sum=secure, serial=2)
    with served(*desks(four, tmp_path, *SITES)):
        eu = ge.open_federation(path, studies=studies, without="PT")
        found = eu.frequencies(["sex"])
    assert_same(found, local(four, *SITES).frequencies(["sex"]))
    (study,) = studies.iterdir()
    assert sorted(one.name for one in study.glob("rounds*")) == ["rounds", "rounds-2"]
    first, second = (
        Bundle(study / rounds / "0000" / "plan.tar").manifest.content
        for rounds in ("rounds", "rounds-2")
    )
    assert first.study != second.study
    assert (first.sites, second.sites) == (("ES", "FI", "IT", "PT"), SITES)


def test_once_masked_answers_have_left_other_participants_need_a_review(four, tmp_path):
    """The difference of the two sums would be the numbers of the one who stays away."""
    path = roster(tmp_path, list(four), secure_sum=True)
    working = desks(four, tmp_path, *four)
    plan = asked(MOMENTS, tuple(four), secure_sum=True)
    one_less = asked(MOMENTS, SITES, "another", secure_sum=True)
    for question in (plan, one_less):
        posted(Post(str(tmp_path / "exchange")), read_roster(path), question)
        for _ in range(2):
            for desk in working:
                desk.attend()
    for desk in working:
        if desk.site.name not in SITES:
            continue
        assert arrived(desk, plan, tmp_path).manifest.secure_sum is not None
        assert arrived(desk, one_less, tmp_path) is None
        assert arrived(desk, one_less, tmp_path, "held").manifest.reason == "review"
        (case,) = held(state_of(tmp_path, desk.site.name))
        assert "may show the numbers of PT" in " ".join(case.reasons)


def test_fewer_sites_than_a_secure_sum_needs_are_refused(masked):
    _, folder = masked
    eu = ge.open_federation(folder / "federation.toml", without="IT")
    with pytest.raises(Refused, match="2 sites take part, a secure sum needs 3 here"):
        eu.frequencies()


@pytest.mark.parametrize(
    ("rule", "roster_asks", "plan_asks", "says"),
    [
        ("required", False, False, "numbers leave this site only in a secure sum"),
        ("allowed", True, False, "numbers leave this site only in a secure sum"),
        ("off", False, True, "this site takes part in no secure sum"),
    ],
)
def test_the_policy_says_whether_answers_are_masked(
    made, tmp_path, rule, roster_asks, plan_asks, says
):
    path = roster(tmp_path, list(SITES), secure_sum=roster_asks)
    policy = policy_file(tmp_path, name="own", secure_sum=rule, **NO_MEMORY)
    desk = desk_of(made["ES"], tmp_path, policy)
    plan = asked(MOMENTS, SITES, secure_sum=plan_asks)
    posted(desk.post, read_roster(path), plan)
    assert desk.attend() == 1
    assert says in arrived(desk, plan, tmp_path, "refusal").manifest.message
    assert "ready" not in events(desk)


# -- ready, and killed -------------------------------------------------------------------------


@pytest.fixture
def waiting(made, tmp_path) -> tuple[Path, Plan]:
    """A federation in which everybody but ES is ready."""
    folder = tmp_path / "eu"
    path = roster(folder, list(SITES), secure_sum=True)
    plan = asked(MOMENTS, SITES, secure_sum=True)
    posted(Post(str(folder / "exchange")), read_roster(path), plan)
    for name in ("FI", "IT"):
        desk = desk_of(made[name], folder, "open-data")
        assert desk.attend() == 0
        assert desk.expects
        assert events(desk) == ["request", "ready"]
    return folder, plan


@pytest.mark.slow
def test_a_site_killed_in_a_secure_sum_sends_the_same_bytes(waiting, made, tmp_path):
    folder, plan = waiting
    step, died = 0, True
    while died:
        mine = shutil.copytree(folder, tmp_path / f"killed-{step}")
        with killed_at(step):
            desk_of(made["ES"], mine, "open-data").attend()
            died = False
        post = Post(str(mine / "exchange"))
        before = {kind: post.cover(name_of(plan, "ES", kind)) for kind in ("ready", "answer")}
        whole = everything(made, mine, plan)
        for kind, content in before.items():
            assert content in (None, post.cover(name_of(plan, "ES", kind))), (step, kind)
        desk = desk_of(made["ES"], mine, "open-data")
        assert events(desk) == ["request", "ready", "release", "delivered"], step
        assert int(whole.trait_people[0]) == sum(len(site.table) for site in made.values())
        shutil.rmtree(mine)
        step += 5
    assert step > 20


def test_a_sum_whose_secret_is_destroyed_is_not_answered_anew(waiting, made):
    folder, plan = waiting
    desk = desk_of(made["ES"], folder, "open-data")
    assert desk.attend() == 1
    place = state_of(folder, "ES") / "plans" / plan.hash
    assert not (place / "ready.key").exists()
    for name in ("leaving.tar", "sealed.c4gh", "out.cover.json", "sent"):
        (place / name).unlink()
    desk = desk_of(made["ES"], folder, "open-data")
    assert desk.attend() == 1
    said = arrived(desk, plan, folder, "refusal").manifest.message
    assert "its secret is destroyed; ask in a new study" in said


def test_a_forged_ready_message_is_passed_over_and_waited_for(waiting, made, caplog):
    folder, plan = waiting
    place = folder / "exchange" / plan.study / "0000"
    true = {path: path.read_bytes() for path in place.glob("FI.ready.*")}
    (place / "FI.ready.cover.json").write_bytes(b"ready!")
    desk = desk_of(made["ES"], folder, "open-data")
    for _ in range(3):
        assert desk.attend() == 0
    assert len([line for line in caplog.messages if "is passed over" in line]) == 1
    assert not list(place.glob("ES.refusal.*"))
    for path, content in true.items():
        path.write_bytes(content)
    assert desk.attend() == 1


def test_whoever_was_ready_under_other_floors_does_not_answer(waiting, made, tmp_path):
    """The publisher was told the floors of then."""
    folder, plan = waiting
    with contextlib.ExitStack() as aside:
        kept = aside.enter_context(pytest.MonkeyPatch.context())
        kept.setattr("genome_eu.federation.daemon.inbox.Inbox.ready_messages", lambda *_: None)
        assert desk_of(made["ES"], folder, "open-data").attend() == 0
    policy = policy_file(tmp_path, name="stricter", min_people=20, **NO_MEMORY)
    desk = desk_of(made["ES"], folder, policy)
    assert desk.attend() == 1
    said = arrived(desk, plan, folder, "refusal").manifest.message
    assert "has other floors than when it was ready for this sum; ask in a new study" in said


def test_under_a_new_roster_a_site_is_ready_anew_with_the_same_key(waiting, made):
    folder, plan = waiting
    desk = desk_of(made["ES"], folder, "open-data")
    assert desk.attend() == 1
    path = roster(folder, list(SITES), secure_sum=True, serial=2)
    post = Post(str(folder / "exchange"))
    post.discard(name_of(plan, "hub", "plan"))
    posted(post, read_roster(path), plan)
    whole = everything(made, folder, plan)
    assert int(whole.trait_people[0]) == sum(len(site.table) for site in made.values())
    assert events(desk_of(made["ES"], folder, "open-data")).count("release") == 1

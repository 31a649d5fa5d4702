"""What a coordinator gets that does not follow the protocols: nothing that they would not give."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import genome_eu as ge
from genome_eu.disclosure import Policy, load_policy
from genome_eu.disclosure.budget import Exposure
from genome_eu.errors import (
    BadInput,
    BundleError,
    NeedsReview,
    PanelError,
    Refused,
    TraitError,
)
from genome_eu.federation.answers import ANSWERING
from genome_eu.federation.answers.linear import model as linear_model
from genome_eu.federation.bundle import MemoryArrays
from genome_eu.federation.inside.people import People
from genome_eu.federation.inside.state import SiteState
from genome_eu.federation.parameters.counts import GenotypeCountsParameters, GroupSizesParameters
from genome_eu.federation.parameters.linear import LinearParameters, TraitMomentsParameters
from genome_eu.federation.parameters.pca import ProjectionParameters, ScoresParameters
from genome_eu.federation.parameters.variants import VariantListParameters
from genome_eu.federation.plan import Ask, Plan
from genome_eu.federation.site import Site
from genome_eu.stats import variants
from genome_eu.stats.aggregate import AGGREGATES
from genome_eu.stats.counts import GenotypeCounts, GroupSizes
from genome_eu.stats.linear import CompleteSums, DesignSums, MeanSums, RawSums
from genome_eu.stats.pca import ProjectionSums, ScoreMoments, Scores, identify
from genome_eu.stats.regions import regions
from genome_eu.stats.traits import TraitMoments
from genome_eu.stats.variants import VariantList
from tests.federation.policies import NO_MEMORY, changed
from tests.federation.small_sites import RARE_IN_FI, ROWS, Made
from tests.federation.small_sites import variants as made_variants

COMMON, RARE = 40, RARE_IN_FI.start + 2
PCA_ID = "0123456789abcdef"


#: Each request is judged by itself: what adds up over them is tested further down.
FLOORS = changed(**NO_MEMORY, differencing_floor=0)


def site_of(made: Made, policy: Policy = FLOORS, state: Path | None = None) -> Site:
    return Site.open(made.name, made.store, policy, state=SiteState(state))


@pytest.fixture(scope="module")
def fi(made: dict[str, Made]) -> Site:
    return site_of(made["FI"])


def asked(question: Ask, sites: tuple[str, ...] = ("FI",), *, secure_sum: bool = False) -> Plan:
    """An ask as round 0 of a study."""
    return question.plan("study", 0, sites, 8192, reader="hub", secure_sum=secure_sum)


def ask(site: Site, question: Ask) -> MemoryArrays:
    spool = MemoryArrays()
    site.release(asked(question, (site.name,)), dict(question.inputs), spool)
    return spool


def panel(*rows: int, position: int | None = None) -> dict[str, NDArray]:
    """A panel of rows of the small sites; `position` moves the last of them."""
    every = made_variants()
    named = [
        {"contig": every[row][0], "position": every[row][2], "ref": "T", "alt": "C", "id": "."}
        for row in rows
    ]
    if position is not None:
        named[-1]["position"] = position
    return {"panel": variants.encode(pd.DataFrame(named))}


def counts(**inputs: NDArray) -> Ask:
    rows = bytes(inputs["panel"]).count(b"\n") if "panel" in inputs else 1
    return Ask(GenotypeCounts, GenotypeCountsParameters(by=(), groups=()), inputs, rows)


def many_traits(*traits: str, groups: tuple[int, ...]) -> LinearParameters:
    """A model that may be one that nobody could validate."""
    changes = {
        "traits": traits,
        "groups": groups,
        "trait_mean": (0.0,) * len(traits),
        "trait_scale": (1.0,) * len(traits),
    }
    return model().model_copy(update=changes)


def model(
    trait: str = "ldl",
    covariates: tuple[str, ...] = (),
    *,
    pca: str | None = None,
    k: int = 0,
    site_effects: bool = True,
) -> LinearParameters:
    return LinearParameters(
        traits=(trait,),
        groups=(0,),
        covariates=covariates,
        pca=pca,
        trait_mean=(0.0,),
        trait_scale=(1.0,),
        covariate_mean=(0.0,) * (len(covariates) + k),
        covariate_scale=(1.0,) * (len(covariates) + k),
        site_effects=site_effects,
    )


# -- rows that may not be named ----------------------------------------------------------------


def test_a_row_below_the_floor_looks_like_a_row_that_is_not_there(fi):
    """Else anybody could ask whether somebody here carries a given rare allele."""
    there = panel(RARE), panel(COMMON, position=77_777)
    answers = [ask(fi, counts(**inputs)) for inputs in there]
    assert dict(answers[0].members()) == dict(answers[1].members())
    withheld = answers[0].get(0)
    assert not withheld.alleles_shown.any()
    assert not withheld.called.any()
    said = []
    one = {"frequency": np.array([0.5]), "loadings": np.ones((1, 1))}
    for inputs in there:
        with pytest.raises(PanelError, match="holds rows that this site does not list") as refusal:
            ask(fi, Ask(ProjectionSums, ProjectionParameters(), inputs | one, 1))
        said.append(str(refusal.value))
    assert len(set(said)) == 1


def test_a_site_with_callable_regions_shows_zero_and_withholds_a_few(made):
    """Its policy shows zeros, and it has said where it could call; it says no more than that."""
    every = made_variants()
    here = regions(np.array([every[COMMON][0]]), np.array([10_000]), np.array([80_000]))
    site = Site.open("FI", made["FI"].store, FLOORS, callable_regions=here)
    absent, rare = panel(COMMON, position=77_777), panel(RARE)
    outside = panel(COMMON, position=99_999)
    shown, called = {}, {}
    for name, inputs in (("absent", absent), ("rare", rare), ("outside", outside)):
        said = ask(site, counts(**inputs)).get(0)
        shown[name] = bool(said.alleles_shown[0, 0])
        called[name] = int(said.called[0, 0]), int(said.allele_count[0, 0])
    assert shown == {"absent": True, "rare": False, "outside": True}
    people = made["FI"].dosage.shape[1]
    assert called == {"absent": (people, 0), "rare": (0, 0), "outside": (0, 0)}


def test_under_masks_absent_rows_are_zeros_and_rare_ones_count(made):
    """Floors apply to the total; the states of a site are not sent."""
    every = made_variants()
    here = regions(np.array([every[COMMON][0]]), np.array([10_000]), np.array([80_000]))
    site = Site.open("FI", made["FI"].store, FLOORS, callable_regions=here)
    people = made["FI"].dosage.shape[1]
    for inputs, number in (
        (panel(RARE), (2 * people, RARE + 1)),
        (panel(COMMON, position=77_777), (2 * people, 0)),
        (panel(COMMON, position=99_999), (0, 0)),
    ):
        plan = asked(counts(**inputs), ("ES", "FI", "IT"), secure_sum=True)
        assert plan.masked
        ((part, _),) = site.answer(plan, inputs)
        assert (int(part.allele_number[0, 0]), int(part.allele_count[0, 0])) == number
        assert part.alleles_shown.all()


def test_a_policy_that_shows_no_zero_withholds_all_that_a_site_does_not_list(made):
    here = regions(np.array(["1", "2"]), np.array([0, 0]), np.array([10**6, 10**6]))
    site = Site.open(
        "FI", made["FI"].store, changed(**NO_MEMORY, show_zero=False), callable_regions=here
    )
    answers = [
        ask(site, counts(**inputs)) for inputs in (panel(RARE), panel(COMMON, position=77_777))
    ]
    assert dict(answers[0].members()) == dict(answers[1].members())


def test_rows_can_be_asked_only_by_name(fi):
    with pytest.raises(BundleError, match="the plan names no panel"):
        ask(fi, replace(counts(**panel(COMMON)), inputs={}))
    with pytest.raises(BundleError, match="input mask is not one that genotype_counts takes"):
        ask(fi, replace(counts(**panel(COMMON)), inputs={"mask": np.arange(ROWS) == RARE}))


@pytest.mark.parametrize("kind", [ProjectionSums, ScoreMoments])
def test_loadings_on_one_row_do_not_give_a_withheld_allele_count(fi, kind):
    one = {"frequency": np.array([0.5]), "loadings": np.ones((1, 1))}
    parameters: ProjectionParameters | ScoresParameters = ProjectionParameters()
    if kind is ScoreMoments:
        one["eigenvalues"] = np.ones(1)
        parameters = ScoresParameters(pca=identify(**one))
    ask(fi, Ask(kind, parameters, panel(COMMON) | one, 1))
    with pytest.raises(PanelError, match="does not list"):
        ask(fi, Ask(kind, parameters, panel(RARE) | one, 1))


def test_a_projection_is_narrow_for_the_people_behind_it(fi):
    """Each column is an equation in people's genotypes; 37 people may have 12."""
    for width in (12, 13, 40):
        inputs = panel(COMMON) | {"frequency": np.array([0.5]), "loadings": np.ones((1, width))}
        question = Ask(ProjectionSums, ProjectionParameters(), inputs, 1)
        if width == 12:
            ask(fi, question)
        else:
            with pytest.raises(Refused, match=rf"{width} columns of a projection are more than"):
                ask(fi, question)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("frequency", np.array([np.nan])),
        ("frequency", np.array([1], np.int64)),
        ("frequency", np.ones((1, 1))),
        ("loadings", np.array([[np.inf]])),
        ("loadings", np.ones(1)),
        ("extra", np.ones(1)),
    ],
)
def test_arrays_that_a_statistic_does_not_take_are_refused(fi, name, array):
    inputs = panel(COMMON) | {"frequency": np.array([0.5]), "loadings": np.ones((1, 1))}
    with pytest.raises(BundleError, match=f"input {name} "):
        ask(fi, Ask(ProjectionSums, ProjectionParameters(), inputs | {name: array}, 1))


@pytest.mark.parametrize("eigenvalues", [np.zeros(1), -np.ones(1), np.ones(2)])
def test_scores_need_a_positive_eigenvalue_for_each_component(fi, eigenvalues):
    one = {"frequency": np.array([0.5]), "loadings": np.ones((1, 1)), "eigenvalues": eigenvalues}
    with pytest.raises(BundleError, match="needs one positive eigenvalue a component"):
        ask(fi, Ask(ScoreMoments, ScoresParameters(pca=PCA_ID), panel(COMMON) | one, 1))


def test_scores_are_kept_under_the_id_of_their_loadings_only(fi):
    """Else a coordinator could put scores of its choice in the place of those of a known PCA."""
    one = {"frequency": np.array([0.5]), "loadings": np.ones((1, 1)), "eigenvalues": np.ones(1)}
    with pytest.raises(BundleError, match="the plan's PCA id is not that of its loadings"):
        ask(fi, Ask(ScoreMoments, ScoresParameters(pca=PCA_ID), panel(COMMON) | one, 1))


def test_scores_whose_means_may_not_leave_are_not_kept(made, tmp_path):
    strict = site_of(made["FI"], changed(min_people=50), state=tmp_path / "state")
    one = {"frequency": np.array([0.5]), "loadings": np.ones((1, 1)), "eigenvalues": np.ones(1)}
    with pytest.raises(Refused, match="fewer than 50 people"):
        ask(
            strict, Ask(ScoreMoments, ScoresParameters(pca=identify(**one)), panel(COMMON) | one, 1)
        )
    assert list((tmp_path / "state").rglob("scores/*")) == []


def test_the_list_of_variants_holds_no_row_below_the_floor(fi, made):
    spool = ask(fi, Ask(VariantList, VariantListParameters()))
    listed = variants.decode(spool.get(0).text)
    dosage = made["FI"].dosage
    ac, an = np.where(dosage > 0, dosage, 0).sum(axis=1), 2 * (dosage >= 0).sum(axis=1)
    may = np.minimum(ac, an - ac) >= 10
    assert listed["position"].tolist() == [
        row[2] for row, good in zip(made_variants(), may, strict=True) if good
    ]
    assert int(spool.get(0).rows_withheld) == int((~may).sum()) == 8


def test_a_row_asked_twice_is_answered_twice_and_not_otherwise(fi):
    part = ask(fi, counts(**panel(COMMON, COMMON))).get(0)
    assert part.allele_count[0] == part.allele_count[1]


def test_a_plan_of_another_length_than_its_panel_is_refused(fi):
    for rows in (0, 2, 9000):
        with pytest.raises(BundleError, match=f"speaks of {rows} rows, its panel has 1"):
            ask(fi, replace(counts(**panel(COMMON)), rows=rows))


@pytest.mark.parametrize(
    "text", [b"1\t100\tA\n", b"\xff\xfe\n", b"1\t100\tA\tC\t.\n../../etc\n", b"1\t1e3\tA\tC\t.\n"]
)
def test_a_panel_that_is_not_variants_is_refused(fi, text):
    inputs = {"panel": np.frombuffer(text, np.uint8)}
    with pytest.raises(BundleError, match="is not contig, position, REF, ALT, id"):
        ask(fi, counts(**inputs))


# -- groups of traits --------------------------------------------------------------------------

LINEAR = [DesignSums, MeanSums, RawSums, CompleteSums]


@pytest.mark.parametrize("kind", LINEAR)
def test_traits_of_a_group_must_share_their_people_here(fi, kind):
    """Else the people of one trait would be taken for those of another."""
    inputs, rows = ({}, 0) if kind is DesignSums else (panel(COMMON), 1)
    shared = many_traits("ldl", "crp", "age", groups=(0, 1, 0))
    mixed = many_traits("ldl", "crp", "age", groups=(0, 0, 0))
    if kind is RawSums:
        shared, mixed = (
            question.model_copy(update={"site_effects": False}) for question in (shared, mixed)
        )
    ask(fi, Ask(kind, shared, inputs, rows))
    with pytest.raises(BundleError, match="groups traits that do not share their people here"):
        ask(fi, Ask(kind, mixed, inputs, rows))


@pytest.mark.parametrize("groups", [(), (0,), (0, 1), (1, 0, 0), (0, 2, 1), (0, -1, 0), (0,) * 4])
def test_groups_have_one_spelling(fi, groups):
    """One group for each trait, numbered by their first traits: one question is one plan."""
    with pytest.raises(BundleError, match="plan of linear_design: groups is not valid"):
        ask(fi, Ask(DesignSums, many_traits("ldl", "crp", "age", groups=groups)))


def test_the_people_of_every_group_are_known_to_the_site(fi, made):
    """What one group has and another lacks could be told apart by subtraction: see who that is."""
    question = Ask(DesignSums, many_traits("ldl", "crp", groups=(0, 1)))
    design, facts = linear_model(fi, asked(question, ("FI",)))
    crp = made["FI"].table["crp"].notna().to_numpy()
    np.testing.assert_array_equal(design.members(0), np.ones(crp.size, bool))
    np.testing.assert_array_equal(design.members(1), crp)
    assert [group.people for group in facts.groups] == [37, 31]
    part = ask(fi, question).get(0)
    assert part.people.tolist() == [37, 31]


@pytest.mark.parametrize("kind", [MeanSums, CompleteSums])
def test_a_row_is_withheld_in_the_group_whose_people_carry_it_too_rarely(made, kind):
    site, dosage = site_of(made["FI"]), made["FI"].dosage
    row = 24 + int((dosage[24:] > 0).sum(axis=1).argmin())
    carriers = dosage[row] > 0
    # All who do not carry it and four who do: at most 8 copies, where the floor is 10.
    few = np.where(carriers & (np.cumsum(carriers) > 4), np.nan, np.sin(np.arange(37.0)))
    site.table = People(site.store.samples.assign(few=few), site.included)
    question = many_traits("ldl", "few", groups=(0, 1))
    part = ask(site, Ask(kind, question, panel(row, COMMON), 2)).get(0)
    assert part.shown.tolist() == [[True, False], [True, True]]
    assert part.gy[0, 0] != 0.0 == part.gy[0, 1]
    assert part.allele_count[0].tolist() == [dosage[row].sum(), 0]
    assert part.gx.shape == (2, 2, 0)


# -- columns that single out people ------------------------------------------------------------


@pytest.mark.parametrize("kind", LINEAR)
@pytest.mark.parametrize(
    ("trait", "covariates", "match"),
    [
        ("ldl", ("one_person",), "class of fewer than 5 people"),
        ("one_person", (), "class of fewer than 5 people"),
        ("one_person", ("age",), "class of fewer than 5 people"),
        ("ldl", ("age", "age_but_one"), r"leverage of more than 0\.5"),
        ("age_but_one", ("age",), r"leverage of more than 0\.5"),
    ],
)
def test_a_one_person_column_is_refused_in_every_round(fi, kind, trait, covariates, match):
    """Xᵀg with such a column is that person's genotype, whether the design was asked or not."""
    inputs, rows = ({}, 0) if kind is DesignSums else (panel(COMMON), 1)
    effects = kind is not RawSums
    ask(fi, Ask(kind, model("ldl", ("age",), site_effects=effects), inputs, rows))
    with pytest.raises(Refused, match=match):
        ask(fi, Ask(kind, model(trait, covariates, site_effects=effects), inputs, rows))


@pytest.mark.parametrize("far", [1e12, -1e12])
def test_origins_cannot_be_chosen_to_round_people_away(fi, far):
    """Far from the data, all values but one could be rounded to the same number."""
    question = model("ldl").model_copy(update={"trait_mean": (far,)})
    with pytest.raises(BundleError, match="origins are far from the values"):
        ask(fi, Ask(MeanSums, question, panel(COMMON), 1))
    for scale in (1e-9, 1e9, 0.0, -1.0):
        question = model("ldl").model_copy(update={"trait_scale": (scale,)})
        with pytest.raises(BundleError, match="origins are far from the values"):
            ask(fi, Ask(DesignSums, question))


@pytest.mark.parametrize(("trait", "covariates"), [("one_person", ()), ("ldl", ("one_person",))])
def test_not_even_the_moments_of_a_one_person_column_leave(fi, trait, covariates):
    parameters = TraitMomentsParameters(traits=(trait,), covariates=covariates, pca=None)
    with pytest.raises(Refused, match="class of fewer than 5 people"):
        ask(fi, Ask(TraitMoments, parameters))


def test_parameters_are_counted_in_the_rows_too(fi):
    """37 people may have 12 parameters; scores of a PCA count as any covariate."""
    fi.state.keep(
        PCA_ID, fi.store.genotype_digest, Scores(np.random.default_rng(3).standard_normal((37, 12)))
    )
    with pytest.raises(Refused, match=r"13 parameters are more than 0\.33 per person"):
        ask(fi, Ask(MeanSums, model(pca=PCA_ID, k=12), panel(COMMON), 1))


def test_an_outlier_of_a_chosen_score_is_a_person_singled_out(fi):
    scores = np.random.default_rng(8).normal(0.0, 1e-4, (37, 1))
    scores[7] = 1.0
    fi.state.keep(PCA_ID, fi.store.genotype_digest, Scores(scores))
    with pytest.raises(Refused, match=r"leverage of more than 0\.5"):
        ask(fi, Ask(MeanSums, model(pca=PCA_ID, k=1), panel(COMMON), 1))


def test_groups_of_the_askers_choice_leave_no_small_remainder(fi, made):
    """Everybody less a chosen group may be few people."""
    table = made["FI"].table
    sizes = table.groupby(["population", "sex"]).size()
    assert sizes.min() < 10
    parameters = GenotypeCountsParameters(by=("population", "sex"), groups=("south_M", "south_F"))
    part = ask(fi, Ask(GenotypeCounts, parameters, panel(COMMON, 41), 2)).get(0)
    large = (table["population"] == "south").sum()
    assert len(table) - large >= 10
    shown = GenotypeCountsParameters(
        by=("population", "sex"), groups=("south_M", "south_F", "north_M")
    )
    hidden = ask(fi, Ask(GenotypeCounts, shown, panel(COMMON, 41), 2)).get(0)
    assert not hidden.alleles_shown[:, 1:].any()
    assert not hidden.people[1:].any()
    assert part.alleles_shown[:, 0].all()


# -- whom an answer describes, and by which columns -----------------------------------------------

ONE = {"frequency": np.array([0.5]), "loadings": np.ones((1, 1))}


def described(site: Site, question: Ask, *, secure_sum: bool = False) -> Exposure:
    """What the site tells its budget, which must be true before anything is computed."""
    plan = asked(question, (site.name,), secure_sum=secure_sum)
    return site.exposure(plan, dict(question.inputs))


def sizes(exposure: Exposure) -> list[int]:
    return [people.size for people in exposure.people]


def owners(exposure: Exposure) -> list[int]:
    """How many columns belong to each set of people."""
    numbers = np.array(exposure.column_people or [0] * len(exposure.columns), int)
    return np.bincount(numbers, minlength=len(exposure.people)).tolist()


def test_names_describe_everybody_and_show_no_row(fi, made):
    listed = described(fi, Ask(VariantList, VariantListParameters()))
    assert (sizes(listed), listed.columns, listed.rows) == ([37], (), 0)
    sexes = described(fi, Ask(GroupSizes, GroupSizesParameters(by=("sex",))))
    of_sex = made["FI"].table["sex"].value_counts()
    assert sizes(sexes) == [37, of_sex["F"], of_sex["M"]]
    assert (sexes.columns, sexes.rows) == ((), 0)


def test_counts_are_a_column_for_everybody_and_for_each_group_of_its_people(fi, made):
    question = replace(counts(**panel(COMMON, 41)), rows=2)
    everybody = described(fi, question)
    assert (sizes(everybody), owners(everybody), everybody.rows) == ([37], [1], 2)
    by = GenotypeCountsParameters(by=("population",), groups=("south",))
    south = described(fi, replace(question, parameters=by))
    of_place = made["FI"].table["population"].value_counts()
    # The people of the north are in no group that was asked for, and follow by subtraction.
    assert sizes(south) == [37, of_place["south"], of_place["north"]]
    assert owners(south) == [1, 1, 1]
    assert south.panel == everybody.panel != ""
    assert south.columns[0] == everybody.columns[0]


def test_groups_that_are_not_described_do_not_count(fi):
    """One of them is too small, so that everybody is all that is shown."""
    by = GenotypeCountsParameters(
        by=("population", "sex"), groups=("north_F", "north_M", "south_F", "south_M")
    )
    assert sizes(described(fi, Ask(GenotypeCounts, by, panel(COMMON), 1))) == [37]
    by = GroupSizesParameters(by=("population", "sex"))
    assert sizes(described(fi, Ask(GroupSizes, by))) == [37]


def test_moments_describe_whoever_has_the_covariates_and_who_has_each_trait(fi):
    parameters = TraitMomentsParameters(traits=("ldl", "age"), covariates=("crp",), pca=None)
    found = described(fi, Ask(TraitMoments, parameters))
    assert sizes(found) == [31, 31]
    parameters = TraitMomentsParameters(traits=("ldl", "crp"), covariates=("age",), pca=None)
    found = described(fi, Ask(TraitMoments, parameters))
    assert (sizes(found), found.columns, found.traits) == ([37, 37, 31], (), ())


@pytest.mark.parametrize("kind", LINEAR)
def test_an_association_counts_its_columns_in_each_group_of_traits(fi, kind):
    inputs, rows = ({}, 0) if kind is DesignSums else (panel(COMMON), 1)
    question = many_traits("ldl", "crp", "case", groups=(0, 1, 0))
    found = described(fi, Ask(kind, question, inputs, rows))
    assert sizes(found) == [37, 31]
    if kind is DesignSums:
        assert (found.columns, found.traits, found.rows) == ((), (), 0)
        return
    # An intercept and its traits; and none of the people who lack a trait.
    assert owners(found) == [3, 2]
    assert (found.traits, found.trait_people) == (("ldl", "crp", "case"), (0, 1, 0))
    alone = described(fi, Ask(kind, model("crp"), inputs, rows))
    assert set(alone.columns) == {found.columns[3], found.columns[4]}


def test_covariates_are_columns_and_a_shifted_one_is_the_same(fi):
    found = described(fi, Ask(MeanSums, model("ldl", ("age", "age_in_months")), panel(COMMON), 1))
    assert (owners(found), len(set(found.columns))) == ([4], 3)


def test_sums_over_scores_are_sums_over_chosen_genotypes(made):
    """With loadings on one row, a covariate is that row: its design has products with genotypes."""
    site = site_of(made["FI"])
    scores = np.random.default_rng(5).standard_normal((37, 2))
    site.state.keep(PCA_ID, site.store.genotype_digest, Scores(scores))
    design = described(site, Ask(DesignSums, model(covariates=("age",), pca=PCA_ID, k=2)))
    assert (owners(design), design.rows, design.panel) == ([5], 2, PCA_ID)
    assert design.traits == ("ldl",)
    asked_for = TraitMomentsParameters(traits=("ldl",), covariates=("age",), pca=PCA_ID)
    moments = described(site, Ask(TraitMoments, asked_for))
    assert (owners(moments), moments.rows, moments.panel) == ([1, 0], 2, PCA_ID)


def test_each_loading_vector_makes_a_column_of_everybody(fi):
    wide = {"frequency": np.array([0.5]), "loadings": np.ones((1, 3)) * [1.0, 2.0, 1.0]}
    found = described(fi, Ask(ProjectionSums, ProjectionParameters(), panel(COMMON) | wide, 1))
    assert (sizes(found), owners(found), found.rows) == ([37], [3], 1)
    assert len(set(found.columns)) == 2
    other = wide | {"frequency": np.array([0.4])}
    elsewhere = described(fi, Ask(ProjectionSums, ProjectionParameters(), panel(COMMON) | other, 1))
    assert not set(found.columns) & set(elsewhere.columns)


def test_means_and_squares_of_scores_count_as_rows(fi):
    one = ONE | {"eigenvalues": np.ones(1)}
    question = Ask(ScoreMoments, ScoresParameters(pca=identify(**one)), panel(COMMON) | one, 1)
    found = described(fi, question)
    assert (sizes(found), owners(found), found.rows) == ([37], [1], 2)


def test_a_secure_sum_spends_as_much(fi):
    """Everything about people is judged before the masks: a total hides it from nobody here."""
    for question in (
        counts(**panel(COMMON)),
        Ask(MeanSums, model("ldl", ("age",)), panel(COMMON), 1),
        Ask(ProjectionSums, ProjectionParameters(), panel(COMMON) | ONE, 1),
    ):
        open_, masked = (described(fi, question, secure_sum=masks) for masks in (False, True))
        assert (masked.columns, masked.rows, masked.panel) == (
            open_.columns,
            open_.rows,
            open_.panel,
        )


def test_every_statistic_is_described(fi):
    """So that a new one is noticed: what nobody counts adds up unseen."""
    assert (
        set(ANSWERING)
        == set(AGGREGATES)
        == {
            "variant_list",
            "group_sizes",
            "genotype_counts",
            "haploid_counts",
            "trait_moments",
            "linear_design",
            "linear_mean",
            "linear_raw",
            "ld_filled",
            "ld_pairwise",
            "linear_complete",
            "linear_mean_dosage",
            "linear_raw_dosage",
            "linear_complete_dosage",
            "dosage_counts",
            "haploid_dosage_counts",
            "logistic_stratified_dosage",
            "logistic_null",
            "logistic_score",
            "logistic_score_raw",
            "logistic_score_dosage",
            "logistic_score_raw_dosage",
            "logistic_products",
            "logistic_spa",
            "logistic_firth",
            "logistic_fit",
            "logistic_stratified",
            "pca_projection",
            "pca_scores",
            "removed_people",
            "ridge_folds",
            "ridge_counts",
            "ridge_block",
            "ridge_moments",
            "ridge_level1",
            "ridge_information",
            "ridge_gradient",
            "ridge_residuals",
            "ridge_score",
            "ridge_score_raw",
            "ridge_score_dosage",
            "ridge_score_raw_dosage",
            "score_distribution",
        }
    )


# -- what adds up over requests --------------------------------------------------------------------


def test_a_cohort_that_lost_one_person_is_not_described_again(made, tmp_path):
    """Even by another question, and after a restart."""
    policy = changed(membership_power=1.0)
    whole = site_of(made["FI"], policy, state=tmp_path)
    ask(whole, counts(**panel(COMMON)))
    fewer = np.arange(37) != 4
    later = Site.open("FI", made["FI"].store, policy, people=fewer, state=SiteState(tmp_path))
    for question in (
        counts(**panel(41)),
        Ask(VariantList, VariantListParameters()),
        Ask(MeanSums, model("ldl"), panel(COMMON), 1),
        Ask(ProjectionSums, ProjectionParameters(), panel(COMMON) | ONE, 1),
    ):
        with pytest.raises(Refused, match="its people differ from those of an earlier answer"):
            ask(later, question)
    ask(whole, counts(**panel(41)))


@pytest.mark.parametrize(("lacking", "refused"), [(1, True), (4, True), (5, False)])
def test_a_trait_that_a_few_people_lack_is_not_asked(made, lacking, refused):
    """Sums over all who have the covariates, less those over who has the trait, are theirs."""
    site = site_of(made["FI"], changed(membership_power=1.0))
    few = np.where(np.arange(37) < lacking, np.nan, np.sin(np.arange(37.0)))
    site.table = People(site.store.samples.assign(few=few), site.included)
    parameters = TraitMomentsParameters(traits=("few",), covariates=("age",), pca=None)
    if refused:
        with pytest.raises(Refused, match="groups or traits of the answer differ by so few"):
            ask(site, Ask(TraitMoments, parameters))
    else:
        ask(site, Ask(TraitMoments, parameters))


def test_a_panel_asked_a_few_rows_at_a_time_goes_to_review(made):
    site = site_of(made["FI"], load_policy("default"))
    for row in range(24, 104, 20):
        ask(site, replace(counts(**panel(*range(row, row + 20))), rows=20))
    more = replace(counts(**panel(*range(104, ROWS))), rows=ROWS - 104)
    ask(site, more)
    with pytest.raises(NeedsReview, match="with power 0.54 at 5% false positives"):
        ask(site, replace(counts(**panel(*range(8, 24))), rows=16))
    # What was shown is shown; nothing new is told by the same rows of the same people.
    ask(site, more)


def test_projections_show_rows_of_genomes_too(made):
    """Ten columns of ten rows are as much as a hundred allele counts."""
    site = site_of(made["FI"], load_policy("default"))
    wide = {"frequency": np.full(11, 0.5), "loadings": np.eye(11)[:, :10]}
    rows = panel(*range(30, 41))
    with pytest.raises(NeedsReview, match=r"110 sums by row so far"):
        ask(site, Ask(ProjectionSums, ProjectionParameters(), rows | wide, 11))


def test_columns_of_all_requests_are_counted_together(made):
    """37 people may be multiplied by 12 columns; the same ones again are free."""
    site = site_of(made["FI"], changed(membership_power=1.0))

    def projection(seed: int) -> Ask:
        loadings = np.random.default_rng(seed).standard_normal((1, 5))
        return Ask(
            ProjectionSums, ProjectionParameters(), panel(COMMON) | ONE | {"loadings": loadings}, 1
        )

    ask(site, projection(1))
    ask(site, projection(2))
    ask(site, projection(1))
    with pytest.raises(Refused, match="beyond 0.33 rank per person"):
        ask(site, projection(3))
    # Two are left: an intercept and a trait. A group is a column as well.
    ask(site, Ask(MeanSums, model("ldl"), panel(COMMON), 1))
    with pytest.raises(Refused, match="beyond 0.33 rank per person"):
        ask(site, Ask(MeanSums, model("ldl", ("age",)), panel(COMMON), 1))
    by = GenotypeCountsParameters(by=("sex",), groups=("F", "M"))
    with pytest.raises(Refused, match="beyond 0.33 rank per person"):
        ask(site, Ask(GenotypeCounts, by, panel(COMMON), 1))


# -- scores ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pca_id", ["unknown", "0" * 15, "0" * 17, "ABCDEF0123456789", "a..", "x.npy"]
)
def test_what_is_not_the_id_of_a_pca_names_no_file(fi, tmp_path, pca_id):
    fi = Site.open("FI", fi.store.path, fi.policy, state=SiteState(tmp_path))
    with pytest.raises(TraitError, match="is not the id of a PCA"):
        ask(fi, Ask(DesignSums, model(pca=pca_id)))
    assert list(tmp_path.rglob("scores/*")) == []


def test_an_id_without_scores_is_an_error_that_says_what_to_do(tmp_path):
    for folder in (None, tmp_path):
        state = SiteState(folder)
        with pytest.raises(TraitError, match="no scores of PCA fedcba9876543210 .*; run the PCA"):
            state.scores("fedcba9876543210", "c" * 64)


def test_scores_of_other_people_are_not_used(made, tmp_path):
    """Of a cohort that was imported again, or of a part of it."""
    fi = site_of(made["FI"], state=tmp_path)
    fi.state.keep(PCA_ID, "another cohort", Scores(np.ones((37, 2))))
    with pytest.raises(TraitError, match=f"no scores of PCA {PCA_ID} for these people"):
        ask(fi, Ask(DesignSums, model(pca=PCA_ID, k=2)))


def files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def test_scores_stay_at_the_site_readable_by_its_owner_and_serve_a_later_gwas(made, tmp_path):
    from genome_eu.federation.carriers.memory import Memory
    from genome_eu.federation.coordinator import Federation

    def federation() -> Federation:
        """As after a restart: nothing is remembered but the folders."""
        sites = {
            name: site_of(site, load_policy("open-data"), state=tmp_path / name)
            for name, site in made.items()
        }
        return Federation("small", Memory(sites), tuple(sites), studies=tmp_path / "studies")

    found = federation().pca(2)
    for name in made:
        (kept,) = (tmp_path / name).rglob("scores/*.npy")
        assert kept.name.startswith(found.pca_id)
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
        scores = np.load(kept, allow_pickle=False)
        assert scores.shape == (len(made[name].table), 2)
        for value in scores.ravel():
            for file in files(tmp_path / "studies"):
                assert value.tobytes() not in file.read_bytes()
    later = federation().gwas("ldl", covariates="age", pcs=found.pca_id)
    cohorts = {name: ge.open_cohort(site.store) for name, site in made.items()}
    together = ge.federate(cohorts, policy="open-data")
    np.testing.assert_array_equal(
        later["variant_linreg_beta"].values,
        together.gwas("ldl", covariates="age", pcs=together.pca(2))["variant_linreg_beta"].values,
    )
    with pytest.raises(BadInput, match="no scores of PCA 00112233aabbccdd"):
        federation().gwas("ldl", pcs="00112233aabbccdd")

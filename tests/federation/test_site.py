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
from genome_eu.errors import BadInput, BundleError, PanelError, Refused, TraitError
from genome_eu.federation.bundle import MemoryArrays
from genome_eu.federation.plan import (
    Ask,
    GenotypeCountsParameters,
    LinearParameters,
    ProjectionParameters,
    ScoresParameters,
    TraitMomentsParameters,
    VariantListParameters,
)
from genome_eu.federation.site import Site, SiteState
from genome_eu.stats import variants
from genome_eu.stats.counts import GenotypeCounts
from genome_eu.stats.linear import CompleteSums, DesignSums, MeanSums, RawSums
from genome_eu.stats.pca import ProjectionSums, ScoreMoments, Scores, identify
from genome_eu.stats.traits import TraitMoments
from genome_eu.stats.variants import VariantList
from tests.federation.exchanges import asked, site_of
from tests.federation.small_sites import RARE_IN_FI, ROWS, Made
from tests.federation.small_sites import variants as made_variants

COMMON, RARE = 40, RARE_IN_FI.start + 2
PCA_ID = "0123456789abcdef"


@pytest.fixture(scope="module")
def fi(made: dict[str, Made]) -> Site:
    return site_of(made["FI"])


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
    ask(fi, counts(**panel(COMMON)))
    said = []
    for inputs in (panel(RARE), panel(COMMON, position=77_777), panel(COMMON, RARE)):
        with pytest.raises(PanelError, match="holds rows that this site does not list") as refusal:
            ask(fi, counts(**inputs))
        said.append(str(refusal.value))
    assert len(set(said)) == 1


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
    strict = site_of(made["FI"], state=tmp_path / "state")
    strict.policy = strict.policy.model_copy(update={"min_people": 50})
    one = {"frequency": np.array([0.5]), "loadings": np.ones((1, 1)), "eigenvalues": np.ones(1)}
    with pytest.raises(Refused, match="fewer than 50 people"):
        ask(
            strict, Ask(ScoreMoments, ScoresParameters(pca=identify(**one)), panel(COMMON) | one, 1)
        )
    assert not (tmp_path / "state").exists()


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


# -- columns that single out people ------------------------------------------------------------


@pytest.mark.parametrize("kind", [DesignSums, MeanSums, RawSums, CompleteSums])
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


# -- scores ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pca_id", ["unknown", "0" * 15, "0" * 17, "ABCDEF0123456789", "..", "x.npy"]
)
def test_what_is_not_the_id_of_a_pca_names_no_file(fi, tmp_path, pca_id):
    fi = Site.open("FI", fi.store.path, fi.policy, state=SiteState(tmp_path))
    with pytest.raises(TraitError, match="is not the id of a PCA"):
        ask(fi, Ask(DesignSums, model(pca=pca_id)))
    assert list(tmp_path.iterdir()) == []


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
            name: site_of(site, "open-data", state=tmp_path / name) for name, site in made.items()
        }
        return Federation("small", Memory(sites), tuple(sites), studies=tmp_path / "studies")

    found = federation().pca(2)
    for name in made:
        (kept,) = files(tmp_path / name)
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

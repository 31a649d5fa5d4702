"""Plans whose numbers no honest coordinator would send: parameters, tilts, means, loadings, weights.

Each attack is carried out against bare sums, where it gives one person's numbers, and against a site
under the floors of the default policy, which refuses it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import genome_eu as ge
from genome_eu.cohort import import_genotypes
from genome_eu.errors import BundleError, Refused
from genome_eu.federation.bundle import MemoryArrays
from genome_eu.federation.carriers.memory import Memory
from genome_eu.federation.coordinator import Federation
from genome_eu.federation.inside.state import SiteState
from genome_eu.federation.parameters.ld import PairParameters
from genome_eu.federation.parameters.linear import LinearParameters, TraitMomentsParameters
from genome_eu.federation.parameters.logistic import LogisticFitParameters, LogisticParameters
from genome_eu.federation.parameters.pca import ProjectionParameters
from genome_eu.federation.parameters.scores import ScoreDistributionParameters
from genome_eu.federation.plan import Ask
from genome_eu.federation.site import Site
from genome_eu.stats import logistic, variants
from genome_eu.stats.aggregate import Aggregate, concatenate
from genome_eu.stats.ld import FilledSums
from genome_eu.stats.linear import MeanSums
from genome_eu.stats.pca import ProjectionSums
from genome_eu.stats.scores import ScoreDistribution
from genome_eu.stats.traits import TraitMoments
from tests.cohort.genotype_files import write_plink
from tests.federation.policies import NO_MEMORY, changed
from tests.federation.small_sites import Made, genotypes, make, sample_table
from tests.federation.small_sites import variants as made_variants

FLOORS = changed(**NO_MEMORY, differencing_floor=0)
#: Columns are remembered, however many there are.
MEMORY = changed(**NO_MEMORY | {"max_rank_per_person": 1.0}, differencing_floor=0)
PEOPLE = 150
LATER = np.arange(PEOPLE) % 2 == 0
#: Everybody is called in these rows, and one person lacks a call in the next.
ROWS = np.arange(40, 46)
MISSING = 8
#: Rows that differ in one person.
A, B = 50, 51
#: Of a dosage at a frequency of one half.
SPREAD = np.sqrt(0.5)


def make_chosen(folder: Path) -> Made:
    """One site of which every honest question can be asked."""
    dosage = genotypes("FI", PEOPLE)
    dosage[B] = dosage[A]
    dosage[B, 30] = (dosage[A, 30] + 1) % 3
    table = sample_table("FI", dosage)
    table["batch"] = np.where(np.arange(PEOPLE) < 3, "first", np.where(LATER, "later", "then"))
    table.to_csv(folder / "FI.tsv", sep="\t", na_rep="")
    bed = write_plink(
        folder / "FI", [(one, one, 0) for one in table.index], made_variants(), dosage
    )
    store = folder / "fi.vcz"
    import_genotypes(bed, store, samples=folder / "FI.tsv", build="GRCh38")
    return Made("FI", store, bed, table, dosage)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_chosen(tmp_path_factory.mktemp("chosen"))


@pytest.fixture(scope="module")
def bare(made: Made) -> Site:
    return Site.open("FI", made.store)


@pytest.fixture
def site(made: Made) -> Site:
    return Site.open("FI", made.store, FLOORS)


@pytest.fixture
def remembering(made: Made) -> Site:
    return Site.open("FI", made.store, MEMORY)


def panel(rows: NDArray) -> dict[str, NDArray]:
    named = [made_variants()[row] for row in rows]
    lines = [
        {"contig": contig, "position": position, "ref": ref, "alt": alt, "id": "."}
        for contig, _, position, alt, ref in named
    ]
    return {"panel": variants.encode(pd.DataFrame(lines))}


def told(site: Site, ask: Ask) -> Any:
    """What a site says: as computed where it has no policy, and else what leaves."""
    plan = ask.plan("study", 0, ("FI",), 8192)
    if site.policy is None:
        return concatenate([part for part, _ in site.answer(plan, dict(ask.inputs))])
    spool = MemoryArrays()
    out = site.release(plan, dict(ask.inputs), spool)
    return concatenate([spool.get(number) for number in range(out.judged.shards)])


def model(origin: float = 50.0, *, kind: type = LogisticParameters, **more: Any) -> Any:
    given = {"traits": ("case",), "covariates": ("age",), "pca": None, "site_effects": False}
    return kind(**given | {"covariate_mean": (origin,), "covariate_scale": (1.0,)} | more)


def asked(
    kind: type[Aggregate], theta: list[float], parameters: Any, rows: NDArray = ROWS, **inputs: Any
) -> Ask:
    given = {"theta": np.array([theta])}
    if kind is not logistic.NullSums:
        given |= panel(rows)
    if kind not in (logistic.NullSums, logistic.RawScoreSums, logistic.ScoreSums):
        given |= {"trait": np.zeros(rows.size, np.int64)}
    given |= {name: np.asarray(value, float) for name, value in inputs.items()}
    return Ask(kind, parameters, given, 0 if kind is logistic.NullSums else rows.size)


def one_of(made: Made) -> tuple[int, float]:
    """Somebody whose age nobody else has, and that age."""
    age = made.table["age"].to_numpy()
    person = next(place for place in range(20, PEOPLE) if (age == age[place]).sum() == 1)
    return person, float(age[person])


# -- a logistic model --------------------------------------------------------------------------------

HONEST = [-1.1, 0.0]


class TestSteepParameters:
    """Where the slope is steep, only who is at its middle has a weight."""

    def test_of_the_null_model(self, made, bare, site):
        _, age = one_of(made)
        steep = asked(logistic.NullSums, [-2e4, 1e4], model(age - 2.0))
        found = told(bare, steep)
        assert found.information[0, 0, 0] == pytest.approx(0.25)
        assert found.information[0, 1, 1] == pytest.approx(0.25 * 2.0**2)
        told(site, asked(logistic.NullSums, HONEST, model()))
        with pytest.raises(Refused, match="fewer than 10 people make the sums|leverage"):
            told(site, steep)

    def test_of_a_score(self, made, bare, site):
        person, age = one_of(made)
        steep = asked(logistic.RawScoreSums, [0.0, 1e4], model(age))
        found = told(bare, steep)
        genotypes = made.dosage[ROWS, person]
        np.testing.assert_allclose(4 * found.gg[:, 0], genotypes.astype(float) ** 2, atol=1e-9)
        told(site, asked(logistic.RawScoreSums, HONEST, model()))
        with pytest.raises(Refused, match="fewer than 10 people make the sums|leverage"):
            told(site, steep)

    def test_of_somebody_who_only_weighs_more_than_others(self, made, site):
        """Ten people's weight in all, and one person stands out of it."""
        _, age = one_of(made)
        for slope in (0.3, 1.0, 3.0, 30.0):
            part = asked(logistic.RawScoreSums, [0.0, slope], model(age))
            if slope < 1:
                told(site, part)
            elif slope > 3:
                with pytest.raises(Refused, match="fewer than 10 people|leverage"):
                    told(site, part)

    def test_of_a_row(self, made, bare, site):
        person, age = one_of(made)
        theta = np.tile([0.0, 1e4, 0.0], (ROWS.size, 1))
        parameters = model(age, kind=LogisticFitParameters, missing="mean")
        mean = np.ones(ROWS.size)
        steep = asked(logistic.FitSums, HONEST, parameters, row_theta=theta, mean=mean)
        found = told(bare, steep)
        np.testing.assert_allclose(
            4 * found.information[:, 0, 2], made.dosage[ROWS, person].astype(float), atol=1e-9
        )
        theta = np.tile([-1.1, 0.0, 0.1], (ROWS.size, 1))
        told(site, asked(logistic.FitSums, HONEST, parameters, row_theta=theta, mean=mean))
        with pytest.raises(Refused, match="fewer than 10 people make the sums"):
            told(site, steep)

    def test_of_a_row_with_an_intercept_of_the_site(self, made, site):
        parameters = model(kind=LogisticFitParameters, missing="mean", site_effects=True)
        for slope, refused in ((0.05, False), (1e4, True)):
            theta = np.tile([slope, 0.1], (ROWS.size, 1))
            ask = asked(logistic.FitSums, [0.0], parameters, row_theta=theta)
            if not refused:
                told(site, ask)
                continue
            with pytest.raises(Refused, match="fewer than 10 people make the sums"):
                told(site, ask)

    def test_of_a_tilt_and_of_an_effect(self, made, bare, site):
        """What is left of a dosage beside chosen coefficients is 0 for somebody alone."""
        _, age = one_of(made)
        coefficients = np.zeros((ROWS.size, 2))
        coefficients[:, 1] = 1.0
        coefficients[:, 0] = 1.0  # who has one copy and that age
        mean = np.ones(ROWS.size)
        for kind, name in ((logistic.SpaSums, "t"), (logistic.FirthSums, "effect")):
            steep = np.full((ROWS.size, 2) if name == "t" else ROWS.size, 1e4)
            given = {"coefficients": coefficients, "mean": mean}
            with pytest.raises(Refused, match="fewer than 10 people make the sums"):
                told(site, asked(kind, HONEST, model(age), **given, **{name: steep}))
            honest = given | {"coefficients": np.tile([1.0, 0.0], (ROWS.size, 1))}
            told(site, asked(kind, HONEST, model(age), **honest, **{name: steep * 1e-5}))

    def test_of_one_side_of_zero(self, made, bare, site):
        """The most that a score can be is a sum over people above 0: here the oldest alone."""
        age = np.unique(made.table["age"])
        coefficients = np.tile([0.0, -1e6], (ROWS.size, 1))
        origin = (age[-1] + age[-2]) / 2
        ask = asked(
            logistic.SpaSums,
            HONEST,
            model(origin),
            coefficients=coefficients,
            mean=np.ones(ROWS.size),
            t=np.full((ROWS.size, 2), 1e-9),
        )
        with pytest.raises(Refused, match="one side of 0 would be of fewer than 10"):
            told(site, ask)


def test_what_is_left_open_of_the_saddlepoint(made, site):
    """SECURITY.md says so: its range bends where somebody is at 0, which three rounds show."""
    person, age = one_of(made)
    step, most = 1e-6, []
    for shift in (-step, 0.0, step):
        ask = asked(
            logistic.SpaSums,
            HONEST,
            model(age),
            coefficients=np.tile([1.0 + shift, 0.0137], (ROWS.size, 1)),
            mean=np.ones(ROWS.size),
            t=np.full((ROWS.size, 2), 1e-3),
        )
        most.append(told(site, ask).most)
    bend = (most[0] - 2 * most[1] + most[2]) / step
    np.testing.assert_array_equal(np.rint(bend) == 1, made.dosage[ROWS, person] == 1)


class TestMeans:
    """What stands for a missing call comes with the plan where sites share an intercept."""

    ROW = np.array([MISSING])

    def test_a_call_that_one_person_lacks(self, made, bare, site):
        asks = [
            asked(logistic.ProductSums, HONEST, model(0.0), self.ROW, mean=[mean])
            for mean in (0.0, 1.0)
        ]
        without, with_it = (told(bare, ask).gx[0] for ask in asks)
        (lacking,) = np.flatnonzero(made.dosage[MISSING] < 0)
        assert (with_it - without)[1] == pytest.approx(made.table["age"].iloc[lacking])
        for ask in asks:
            with pytest.raises(Refused, match="a row that 1 to 4 people lack a call of"):
                told(site, ask)
        own = model(site_effects=True)
        told(site, asked(logistic.ProductSums, [0.0], own, self.ROW))

    @pytest.mark.parametrize("mean", [-0.1, 2.1, 1e9])
    def test_a_mean_is_one_of_copies(self, site, mean):
        with pytest.raises(BundleError, match="not one of copies of an allele"):
            told(site, asked(logistic.ProductSums, HONEST, model(), ROWS[:1], mean=[mean]))


# -- loadings and weights ----------------------------------------------------------------------------


def test_loadings_that_are_zero_for_all_but_one_person(made, bare, site):
    """Two rows that differ in one person, one less the other; the frequencies are chosen, too."""
    rows = np.arange(24, len(made.dosage))
    loadings = np.zeros((rows.size, 1))
    loadings[rows == A], loadings[rows == B] = 1.0, -1.0
    inputs = panel(rows) | {"frequency": np.full(rows.size, 0.5), "loadings": loadings}
    ask = Ask(ProjectionSums, ProjectionParameters(), inputs, rows.size)
    only = np.flatnonzero(made.dosage[A] != made.dosage[B])
    assert only.size == 1
    found = told(bare, ask).projected[:, 0]
    score = float(made.dosage[A, only[0]] - made.dosage[B, only[0]]) / SPREAD
    np.testing.assert_allclose(found / score * SPREAD + 1.0, made.dosage[rows, only[0]])
    with pytest.raises(Refused, match=r"a leverage of more than 0\.75"):
        told(site, ask)
    random = np.random.default_rng(1).standard_normal((rows.size, 3))
    told(site, Ask(ProjectionSums, ProjectionParameters(), inputs | {"loadings": random}, 96))


class TestWeights:
    """Of a score that may be asked, another differs in one person; or one row carries it all."""

    SOME = np.arange(40, 80)

    def ask(self, weights: NDArray, frequency: NDArray | None = None) -> Ask:
        parameters = ScoreDistributionParameters(
            by=(), groups=(), edges=(-1.0, 0.0, 1.0), imputed=True
        )
        inputs = panel(self.SOME) | {
            "weights": weights,
            "counts_ref": np.zeros(40, np.uint8),
            "frequency": np.full(40, 0.5) if frequency is None else frequency,
        }
        return Ask(ScoreDistribution, parameters, inputs, 40)

    def test_two_scores_that_differ_in_one_person(self, remembering):
        base = np.random.default_rng(2).standard_normal(40)
        other = base.copy()
        other[A - 40] += 1e-6
        other[B - 40] -= 1e-6
        told(remembering, self.ask(base[:, None]))
        with pytest.raises(Refused, match="of the variance of a score"):
            told(remembering, self.ask(np.column_stack([base, other])))
        with pytest.raises(Refused, match=r"leverage of more than 0\.75"):
            told(remembering, self.ask(other[:, None]))

    def test_frequencies_cannot_be_chosen_to_hide_the_row_that_carries_a_score(self, site):
        weights, frequency = np.ones((40, 1)), np.full(40, 0.5)
        weights[3], frequency[3] = 1e4, 1e-9
        with pytest.raises(Refused, match="carried by fewer than 10 rows"):
            told(site, self.ask(weights, frequency))


# -- one question after the other --------------------------------------------------------------------


class TestTwoPlans:
    """Columns that differ in one person, each in a plan of its own."""

    def linear(self, rows: NDArray = ROWS, **columns: Any) -> Ask:
        given = {"traits": ("ldl",), "groups": (0,), "covariates": (), "pca": None} | columns
        width = len(given["covariates"]) + len(given.get("condition", ()))
        parameters = LinearParameters(
            **given,
            trait_mean=(0.0,),
            trait_scale=(1.0,),
            covariate_mean=(1.0,) * width,
            covariate_scale=(1.0,) * width,
            site_effects=True,
        )
        return Ask(MeanSums, parameters, panel(rows), rows.size)

    def test_rows_to_condition_on(self, made, bare, remembering):
        """Genotypes of the person whom the two rows differ in, at every other row."""
        asks = [self.linear(condition=(named(row),)) for row in (A, B)]
        first, second = (told(bare, ask).gx[:, 0, 0] for ask in asks)
        only = np.flatnonzero(made.dosage[A] != made.dosage[B])[0]
        apart = float(made.dosage[A, only] - made.dosage[B, only])
        centred = made.dosage[ROWS] - made.dosage[ROWS].mean(axis=1, keepdims=True)
        np.testing.assert_allclose((first - second) / apart, centred[:, only])
        told(remembering, asks[0])
        with pytest.raises(Refused, match=r"earlier answers together .* more than 0\.75"):
            told(remembering, asks[1])
        told(remembering, asks[0])

    def test_covariates(self, remembering):
        told(remembering, self.linear(covariates=("age",)))
        with pytest.raises(Refused, match="earlier answers together"):
            told(remembering, self.linear(covariates=("age_but_one",)))
        told(remembering, self.linear(covariates=("age_in_months",)))

    def test_loadings(self, remembering):
        for place, row in enumerate((A, B)):
            rows = np.append(ROWS, row)
            loadings = np.zeros((rows.size, 1))
            loadings[-1] = 1.0
            inputs = panel(rows) | {"frequency": np.full(rows.size, 0.5), "loadings": loadings}
            ask = Ask(ProjectionSums, ProjectionParameters(), inputs, rows.size)
            if not place:
                told(remembering, ask)
                continue
            with pytest.raises(Refused, match="earlier answers together"):
                told(remembering, ask)

    def test_parameters_of_a_null_model(self, made, remembering):
        """Steep slopes a little apart; each leaves weight to enough people."""
        refused = 0
        for origin in np.arange(30.0, 70.0, 1.0):
            try:
                told(remembering, asked(logistic.RawScoreSums, [0.0, 1.0], model(origin)))
            except Refused:
                refused += 1
        assert refused > 20

    def test_memory_lasts(self, made, tmp_path):
        for row in (A, B):
            kept = Site.open("FI", made.store, MEMORY, state=SiteState(tmp_path))
            if row == A:
                told(kept, self.linear(condition=(named(row),)))
                continue
            with pytest.raises(Refused, match="earlier answers together"):
                told(kept, self.linear(condition=(named(row),)))


def named(row: int) -> str:
    contig, _, position, alt, ref = made_variants()[row]
    return f"{contig}:{position}:{ref}:{alt}"


def test_the_reference_of_a_category_is_a_class_too(made, bare, site):
    """Sums over everybody less those of all other levels are those of its three people."""
    batch = {"column": "batch", "category": True, "function": "", "power": 1}
    formula = {
        "terms": ((batch,),),
        "levels": ({"column": "batch", "levels": ("first", "later", "then")},),
    }
    given = {"traits": ("ldl",), "groups": (0,), "covariates": (), "pca": None} | formula
    parameters = LinearParameters(
        **given,
        trait_mean=(0.0,),
        trait_scale=(1.0,),
        covariate_mean=(0.5, 0.5),
        covariate_scale=(1.0, 1.0),
        site_effects=True,
    )
    ask = Ask(MeanSums, parameters, panel(ROWS), ROWS.size)
    found = told(bare, ask)
    assert found.gx.shape[-1] == 2
    with pytest.raises(Refused, match="class of fewer than 5 people"):
        told(site, ask)
    moments = {name: given[name] for name in ("traits", "covariates", "pca", "terms", "levels")}
    with pytest.raises(Refused, match="class of fewer than 5 people"):
        told(site, Ask(TraitMoments, TraitMomentsParameters(**moments)))


def test_a_row_between_all_others_is_not_paired_with_them(bare, site):
    """So that it would be multiplied with the whole genome, for the price of one column."""
    for rows, refused in ((np.array([40, 41, 42]), False), (np.array([40, 41, 40, 42]), True)):
        lengths = np.append(np.full(rows.size - 1, 2), 1)
        inputs = panel(rows) | {"lengths": lengths}
        ask = Ask(FilledSums, PairParameters(band=2), inputs, rows.size)
        if not refused:
            told(site, ask)
            continue
        with pytest.raises(BundleError, match="names a row twice"):
            told(site, ask)


# -- honest questions --------------------------------------------------------------------------------

CASES = {"model": "logistic", "cutoff": 1.0}
HONEST_QUESTIONS = {
    "frequencies": lambda eu: eu.frequencies("sex"),
    "linear": lambda eu: eu.gwas("ldl", covariates="age + C(sex)", condition_on=named(40)),
    "firth": lambda eu: eu.gwas("case", covariates=["age"], **CASES),
    "saddlepoint": lambda eu: eu.gwas("case", covariates=["age"], test="spa", **CASES),
    "fits": lambda eu: eu.gwas("case", covariates=["age"], test="hybrid", **CASES),
    "an intercept for all": lambda eu: eu.gwas("case", site_effects=False, test="spa", **CASES),
    "prune": lambda eu: eu.prune(4, r2=0.5, keep_long_range=True, missing="fill"),
}


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    folder = tmp_path_factory.mktemp("three")
    return {name: make(folder, name, people=PEOPLE) for name in ("ES", "IT", "PT")}


@pytest.mark.parametrize("question", HONEST_QUESTIONS)
def test_honest_questions_are_answered(three, question):
    sites = {name: Site.open(name, one.store, MEMORY) for name, one in three.items()}
    eu = Federation("honest", Memory(sites), tuple(sites))
    cohorts = {name: ge.open_cohort(one.store) for name, one in three.items()}
    expected = HONEST_QUESTIONS[question](ge.federate(cohorts, policy="open-data"))
    found = HONEST_QUESTIONS[question](eu)
    assert found.sizes["variants"] == expected.sizes["variants"]

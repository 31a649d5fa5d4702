"""The attacks of the literature on real genotypes: against bare sums, against floors, and against
a site that remembers what it released.

`python -m pytest tests/disclosure/test_attacks.py -s` prints the table of `SECURITY.md`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from genome_eu.disclosure import attack, load_policy, membership
from genome_eu.errors import BadInput, Refused
from genome_eu.federation.bundle import MemoryArrays
from genome_eu.federation.plan import Ask
from genome_eu.federation.site import Site
from genome_eu.stats.aggregate import merge
from genome_eu.stats.linear import DesignSums, LinearResult, MeanSums, RawSums, finalize
from tests.disclosure import attack_cohort
from tests.disclosure.attack_cohort import (
    HALVES,
    TRAITS,
    Country,
    approved,
    counts,
    linear,
    listed,
    panel,
    plan_of,
    projections,
    released,
    unprotected,
    varying,
)

pytestmark = pytest.mark.slow

Told = Callable[..., None]
STAGES = ("bare sums", "floors alone", "default policy")
MEMBERS = 50


@pytest.fixture(scope="module")
def countries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Country]:
    return attack_cohort.make(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def fi(countries: dict[str, Country]) -> Country:
    return countries["FIN"]


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    """Collects what each attack achieved, and prints it as a table in the end."""
    lines: dict[str, dict[str, str]] = {}

    def tell(title: str, stage: str, text: str) -> None:
        assert stage in STAGES
        lines.setdefault(title, {})[stage] = text

    yield tell
    print("\n\n| attack | " + " | ".join(STAGES) + " |\n|---|" + "---|" * len(STAGES))
    for title, found in lines.items():
        print(f"| {title} | " + " | ".join(found.get(stage, "–") for stage in STAGES) + " |")


def right(found: NDArray, truth: NDArray) -> float:
    """Share of genotypes that an attack gives correctly."""
    return float((found == truth).mean())


def asked_until_refused(site: Site, asks: Iterable[Ask], match: str) -> tuple[list[Any], int]:
    """The answers of a site whose officer approves all that can be approved, up to the refusal.

    Also how many of them the officer had to look at.
    """
    answers: list[Any] = []
    reviews = 0
    for ask in asks:
        try:
            part, reviewed = approved(site, ask)
        except Refused as refusal:
            if not re.search(match, str(refusal)):
                raise
            return answers, reviews
        answers.append(part)
        reviews += reviewed
    raise AssertionError("nothing was refused")


def some_of(country: Country, rows: NDArray, each: int) -> Iterator[Ask]:
    """The same question a few rows at a time."""
    for start in range(0, rows.size, each):
        yield counts(country, rows[start : start + each])


# -- membership ------------------------------------------------------------------------------------


def test_power_follows_rows_over_people():
    assert membership.membership_power(0, 100, 0.05) == pytest.approx(0.05)
    rows = 1000 * (norm.isf(0.05) + norm.isf(0.2)) ** 2
    assert membership.membership_power(round(rows), 1000, 0.05) == pytest.approx(0.8, abs=1e-4)
    assert membership.most_rows(1000, 0.05, 0.8) == int(rows)
    assert membership.most_rows(1000, 0.05, 0.01) == 0
    for wrong in ((-1, 10, 0.05), (10, 0, 0.05), (10, 10, 0.0), (10, 10, 1.0)):
        with pytest.raises(BadInput, match="power of membership inference needs"):
            membership.membership_power(*wrong)


@pytest.mark.parametrize(
    ("people", "rows"), [(310, 838), (368, 995), (476, 1287), (20_235, 54_746)]
)
def test_rows_that_national_cohorts_may_show_without_a_review(people, rows):
    """Cyprus, Estonia, Latvia and Germany in the plans of the Genome of Europe."""
    policy = load_policy("default")
    most = membership.most_rows(people, policy.membership_alpha, policy.membership_power)
    assert most == rows
    assert membership.membership_evidence(most, people, policy).verdict == "pass"
    assert membership.membership_evidence(most + 1, people, policy).verdict == "review"


def test_measured_power_is_that_of_the_formula():
    """Simulated people and an exact reference: nothing but the formula's own assumptions."""
    rng = np.random.default_rng(3)
    people, rows, strangers = 400, 800, 4000
    p = rng.uniform(0.1, 0.9, rows)
    members = rng.binomial(2, p[:, None], (rows, people))
    others = rng.binomial(2, p[:, None], (rows, strangers))
    published = members.mean(axis=1) / 2
    threshold = np.quantile(attack.likelihood_ratio(others, published, p), 0.95)
    measured = (attack.likelihood_ratio(members, published, p) > threshold).mean()
    assert measured == pytest.approx(membership.membership_power(rows, people, 0.05), abs=0.06)


def test_effective_rows_count_copies_once():
    rng = np.random.default_rng(4)
    independent = rng.binomial(2, 0.4, (2000, 500))
    assert membership.effective_rows(independent) == pytest.approx(2000, rel=0.02)
    assert membership.effective_rows(np.repeat(independent[:500], 4, axis=0)) == pytest.approx(
        500, rel=0.05
    )


def _membership(country: Country, published: NDArray, strangers: NDArray, reference: NDArray):
    """Scores of the country's people and of strangers, at common rows of the reference."""
    p = reference.mean(axis=1) / 2
    common = (np.minimum(p, 1 - p) > 0.05) & ~np.isnan(published)
    args = published[common], p[common]
    return (
        attack.likelihood_ratio(country.genotypes[common], *args),
        attack.likelihood_ratio(strangers[common], *args),
        int(common.sum()),
    )


def test_members_are_found_in_published_frequencies(countries, told, tmp_path):
    """Europeans against Europeans: the attacker's reference is 200 other people of kg_eur."""
    order = np.random.default_rng(5).permutation(503)
    included = np.zeros(503, bool)
    included[order[:MEMBERS]] = True
    pool = Country(countries["FIN"].store, countries["FIN"].dosage, included)
    strangers, reference = pool.dosage[:, order[-200:]], pool.dosage[:, order[MEMBERS:-200]]

    bare = unprotected(pool, counts(pool, np.arange(23_770)))
    frequency = bare.allele_count[:, 0] / bare.allele_number[:, 0]
    rows = listed(pool)
    part = released(pool, counts(pool, rows))
    floored = np.full(frequency.size, np.nan)
    floored[rows] = np.where(
        part.alleles_shown[:, 0], part.allele_count[:, 0] / part.allele_number[:, 0], np.nan
    )
    for stage, published in (("bare sums", frequency), ("floors alone", floored)):
        members, others, shown = _membership(pool, published, strangers, reference)
        threshold = np.quantile(others, 0.95)
        found, none_wrong = (members > threshold).mean(), (members > others.max()).mean()
        told(
            f"membership, {MEMBERS} people",
            stage,
            f"{found:.0%} of members found at 5 % false positives, {none_wrong:.0%} at 0 of "
            f"{others.size} strangers ({shown:,} rows)",
        )
        assert found > 0.99
        assert none_wrong > 0.95

    # The site as it is: all at once, and the same a few rows at a time.
    whole = pool.guarded(tmp_path / "whole")
    judged = whole.judge(plan_of(counts(pool, rows)), dict(panel(pool, rows)), MemoryArrays())
    assert judged.verdict == "review"
    assert "power 1.00 at 5% false positives" in judged.doubts[0].reason
    site, passed = pool.guarded(tmp_path / "slowly"), 0
    shuffled = np.random.default_rng(6).permutation(rows)
    published = np.full(frequency.size, np.nan)
    for ask in some_of(pool, shuffled, 15):
        part, reviewed = approved(site, ask)
        if reviewed:
            break
        here = shuffled[passed : passed + 15]
        published[here] = part.allele_count[:, 0] / part.allele_number[:, 0]
        passed += 15
    policy = load_policy("default")
    most = membership.most_rows(MEMBERS, policy.membership_alpha, policy.membership_power)
    assert most - 15 < passed <= most
    members, others, _ = _membership(pool, published, strangers, reference)
    found = (members > np.quantile(others, 0.95)).mean()
    told(
        f"membership, {MEMBERS} people",
        "default policy",
        f"review, power 1.00 stated; asked 15 rows at a time, {passed} rows pass before the review: "
        f"{found:.0%} of members found at 5 % false positives",
    )
    assert found <= policy.membership_power + 0.1


def test_members_are_found_in_projections_too(countries, told, tmp_path):
    """Ten columns of one round of a PCA on half the Finns, against the other half."""
    half = countries["FIN"].without(*range(0, 99, 2))
    strangers = countries["FIN"].without(*range(1, 99, 2)).genotypes
    title = f"membership, projections of {half.people} people"
    for stage, answer, rows in (
        ("bare sums", unprotected, varying(half)),
        ("floors alone", released, listed(half)),
    ):
        (ask,), frequency = projections(half, rows, columns=10, requests=1)
        shown = answer(half, ask).projected
        members = attack.explained(shown, frequency, half.genotypes[rows])
        others = attack.explained(shown, frequency, strangers[rows])
        found = (members > others.max()).mean()
        told(title, stage, f"{found:.0%} of members found at 0 of {others.size} strangers")
        assert found > 0.95
    _, reviewed = approved(half.guarded(tmp_path / "whole"), ask)
    assert reviewed
    few = rows[: int(2.7 * half.people / 10)]
    (ask,), frequency = projections(half, few, columns=10, requests=1)
    shown, reviewed = approved(half.guarded(tmp_path / "few"), ask)
    assert not reviewed
    members = attack.explained(shown.projected, frequency, half.genotypes[few])
    others = attack.explained(shown.projected, frequency, strangers[few])
    found = (members > others.max()).mean()
    told(
        title,
        "default policy",
        f"review, power 1.00 stated; {few.size} rows pass: {found:.0%} of members found at 0 of "
        f"{others.size} strangers",
    )
    assert found < 0.25


# -- one person ------------------------------------------------------------------------------------


def test_differencing_gives_one_person(fi, told, tmp_path):
    fewer, truth = fi.without(7), fi.genotypes[:, 7]
    bare = [unprotected(one, counts(one, varying(fi))) for one in (fi, fewer)]
    rows = listed(fi, fewer)
    floored = [released(one, counts(one, rows)) for one in (fi, fewer)]
    title = "differencing, two releases"
    for stage, pair, asked in (("bare sums", bare, varying(fi)), ("floors alone", floored, rows)):
        found = attack.difference(*pair)
        share = right(found, truth[asked])
        told(title, stage, f"{share:.2%} of one person's genotypes ({found.size:,} rows)")
        assert share > 0.999
    with pytest.raises(BadInput, match="do not differ by one person"):
        attack.difference(bare[0], bare[0])

    # The same folder: the site after one person left it.
    approved(fi.guarded(tmp_path), counts(fi, rows))
    with pytest.raises(Refused, match="people differ from those of an earlier answer by so few"):
        approved(fewer.guarded(tmp_path), counts(fewer, rows))
    told(title, "default policy", "first request to review; second request refused")


def test_a_column_for_one_person_gives_their_genotypes(fi, told, tmp_path):
    """An indicator, and two columns that differ in one person: the same product with genotypes."""
    rows = varying(fi)
    truth = fi.genotypes[rows, 4]
    assert fi.table["one_person"].to_numpy()[4] == 1
    alone = unprotected(fi, linear(RawSums, fi, rows, ("height",), ("one_person",)))
    # Columns: the intercept, then covariates.
    found = [attack.one_person_covariate(alone.gx[:, 0], (0, 1))]
    columns = ("age", "age_but_one")
    pair = unprotected(fi, linear(MeanSums, fi, rows, ("height",), columns))
    mean = pair.allele_count[:, 0] / pair.called[:, 0]
    found += [attack.one_person_covariate(pair.gx[:, 0], (-1 / 30, 1 / 30), mean)]
    for one in found:
        assert right(one, truth) > 0.999
    title = "one-person covariate"
    least = min(right(one, truth) for one in found)
    told(title, "bare sums", f"{least:.2%} of one person's genotypes ({rows.size:,} rows)")

    rows = listed(fi)
    guarded = fi.guarded(tmp_path)
    for answer in (released, lambda _, ask: approved(guarded, ask)):
        with pytest.raises(Refused, match="class of fewer than 5 people"):
            answer(fi, linear(RawSums, fi, rows, ("height",), ("one_person",)))
        with pytest.raises(Refused, match=r"leverage of more than 0\.5"):
            answer(fi, linear(MeanSums, fi, rows, ("height",), columns))
    told(title, "floors alone", "request refused")
    told(title, "default policy", "request refused")


def test_a_missing_call_gives_covariates_and_traits(tmp_path_factory, told):
    fi = attack_cohort.make(tmp_path_factory.mktemp("two_percent"), knocked_out=0.02)["FIN"]
    assert float((fi.genotypes < 0).mean()) == pytest.approx(0.02, abs=0.002)
    truth = fi.table[["age", "height"]].to_numpy()

    def exposed(sums: RawSums) -> tuple[float, int]:
        """Share of people whose age and height are found, and rows that give away somebody."""
        products = np.column_stack([sums.mx[:, 0, 1:], sums.my])
        people, rows = attack.one_missing_call(sums.missing[:, 0], products)
        near = np.abs(people[:, None] - truth).max(axis=2) < 1e-6
        assert near.any(axis=1).all()
        return float(near.any(axis=0).mean()), int(rows.sum())

    title = "one missing call, at 2 % missing"
    share, rows = exposed(unprotected(fi, linear(RawSums, fi, varying(fi), ("height",), ("age",))))
    told(title, "bare sums", f"covariates and trait of {share:.1%} of people ({rows:,} rows)")
    assert share == 1.0
    ask = linear(RawSums, fi, listed(fi), ("height",), ("age",))
    part, reviewed = approved(fi.guarded(tmp_path_factory.mktemp("state")), ask)
    assert reviewed
    for sums in (released(fi, ask), part):
        assert exposed(sums) == (0.0, 0)
    told(title, "floors alone", "nobody's: rows with 1 to 4 missing calls are withheld")
    told(title, "default policy", "review; nobody's once approved")


# -- everybody -------------------------------------------------------------------------------------


def _columns(fi: Country, traits: tuple[str, ...]) -> NDArray:
    """What the attacker knows: centred traits, and that each allele count is a sum over all."""
    known = fi.table[list(traits)].to_numpy()
    return np.column_stack([np.ones(fi.people), known - known.mean(axis=0)])


def _released_products(
    fi: Country, rows: NDArray, answer: Callable[..., MeanSums], per_request: int
) -> NDArray:
    """Allele counts and gᵀy of all traits, some traits a request."""
    sums = [
        answer(fi, linear(MeanSums, fi, rows, TRAITS[start : start + per_request]))
        for start in range(0, len(TRAITS), per_request)
    ]
    products = np.column_stack([sums[0].allele_count[:, 0], *(part.gy for part in sums)])
    return products[np.all([part.shown[:, 0] for part in sums], axis=0)]


def test_as_many_known_columns_as_people_give_everybody(fi, told, tmp_path):
    """A hundred traits of 99 people, at most 20 a request: no request is remarkable by itself."""
    columns = _columns(fi, TRAITS)
    title = f"rank exhaustion, {len(TRAITS)} known columns of {fi.people} people"
    for stage, answer, rows in (
        ("bare sums", unprotected, varying(fi)),
        ("floors alone", released, listed(fi)),
    ):
        products = _released_products(fi, rows, answer, 20)
        assert len(products) == rows.size
        found = attack.rank_exhaustion(columns, products)
        share = right(found, fi.genotypes[rows])
        told(title, stage, f"{share:.2%} of everybody's genotypes ({found.size:,})")
        assert share > 0.999
    # As covariates of one trait, since traits have a budget of their own.
    asks = (
        linear(MeanSums, fi, rows, ("height",), TRAITS[start : start + 10])
        for start in range(0, len(TRAITS), 10)
    )
    site = fi.guarded(tmp_path)
    answers, reviews = asked_until_refused(site, asks, "beyond 0.33 rank per person")
    assert reviews == len(answers) == 3
    # An intercept, the trait, and ten covariates a request determine nobody by algebra alone.
    known = _columns(fi, ("height", *TRAITS[:30]))
    products = np.column_stack(
        [answers[0].allele_count, answers[0].gy, *(part.gx[:, 0] for part in answers)]
    )
    assert np.linalg.matrix_rank(known) == products.shape[1] == 32
    assert (attack.rank_exhaustion(known, products) == attack.UNKNOWN).all()
    told(
        title,
        "default policy",
        f"each request to review; approved all the same, refused after {known.shape[1]} columns: "
        f"nobody's genotypes",
    )


def test_groups_are_columns_too(fi, told, tmp_path):
    """Allele counts of a hundred ways of dividing 99 people in halves, one way a request."""
    halves = fi.table[list(HALVES)].to_numpy().astype(float)
    columns = np.column_stack([np.ones(fi.people), halves])
    title = f"rank exhaustion, {len(HALVES)} groupings of {fi.people} people"
    for stage, answer, rows in (
        ("bare sums", unprotected, varying(fi)),
        ("floors alone", released, listed(fi)),
    ):
        parts = [answer(fi, counts(fi, rows[::40], by)) for by in HALVES]
        shown = np.all([part.alleles_shown.all(axis=1) for part in parts], axis=0)
        products = np.column_stack(
            [parts[0].allele_count[:, 0], *(part.allele_count[:, 2] for part in parts)]
        )[shown]
        share = right(attack.rank_exhaustion(columns, products), fi.genotypes[rows[::40][shown]])
        told(title, stage, f"{share:.2%} of everybody's genotypes ({shown.mean():.0%} of rows)")
        assert share > 0.999
        assert shown.mean() > 0.3

    asks = (counts(fi, rows[::40], by) for by in HALVES)
    answers, reviews = asked_until_refused(
        fi.guarded(tmp_path), asks, "beyond 0.33 rank per person"
    )
    assert reviews == len(answers) > 1
    few = columns[:, : 1 + len(answers)]
    found = attack.rank_exhaustion(few, products[:, : 1 + len(answers)])
    assert (found == attack.UNKNOWN).all()
    told(
        title,
        "default policy",
        f"each request to review; approved all the same, refused after {len(answers)} groupings: "
        f"nobody's genotypes",
    )


def test_as_many_projections_as_people_complete_every_known_genome(countries, fi, told, tmp_path):
    """Projections of the attacker's choice, 25 a request, and 300 rows of each genome."""
    strangers = countries["GBR"].genotypes[:, :20]
    title = f"rank exhaustion, 100 projections of {fi.people} people"
    for stage, answer, rows in (
        ("bare sums", unprotected, varying(fi)),
        ("floors alone", released, listed(fi)),
    ):
        asks, frequency = projections(fi, rows, columns=25, requests=4)
        shown = np.hstack([answer(fi, ask).projected for ask in asks])
        known = np.random.default_rng(2).choice(rows.size, 300, replace=False)
        genomes = np.hstack([fi.genotypes[rows], strangers[rows]])
        found = attack.extend_genomes(shown, frequency, known, genomes[known])
        share = right(found[:, : fi.people], fi.genotypes[rows])
        told(title, stage, f"300 known genotypes a person give {share:.2%} of {rows.size:,}")
        assert share > 0.999
        assert (found[:, fi.people :] == attack.UNKNOWN).all()
    with pytest.raises(BadInput, match="98 known rows do not determine 99 weights"):
        attack.extend_genomes(shown, frequency, known[:98], genomes[known[:98]])

    answers, reviews = asked_until_refused(
        fi.guarded(tmp_path), asks, "beyond 0.33 rank per person"
    )
    assert (len(answers), reviews) == (1, 1)
    found = attack.extend_genomes(answers[0].projected, frequency, known, genomes[known])
    assert (found == attack.UNKNOWN).all()
    told(
        title,
        "default policy",
        "first request of 25 to review, second refused: nobody's genotypes from one",
    )


def test_results_of_many_traits_give_genotypes_of_fewer_rows_than_people(fi, told, tmp_path):
    """From published effects and standard errors; 0.85 traits a person, and integrality."""
    rows = listed(fi)[::100]
    truth = fi.genotypes[rows]
    products = _published_products(fi, rows, TRAITS)
    direct = truth.astype(float) @ _columns(fi, TRAITS)
    assert np.abs(products - direct).max() < 1e-6
    title = f"many traits of {fi.people} known people, {rows.size} rows"
    floored = _released_products(fi, rows, released, 20)
    for stage, numbers in (("bare sums", products), ("floors alone", floored)):
        shares = {}
        for ratio in (0.16, 0.5, 0.7, 0.85):
            traits = round(ratio * fi.people)
            columns = _columns(fi, TRAITS[:traits])
            found = attack.many_traits(columns, numbers[:, : traits + 1])
            shares[ratio] = right(found, truth)
            given = found != attack.UNKNOWN
            assert (found[given] == truth[given]).all()
        assert shares[0.85] > 0.999
        assert shares[0.16] < 0.01
        told(title, stage, _by_ratio(shares))

    asks = (linear(MeanSums, fi, rows, (trait,)) for trait in TRAITS)
    answers, reviews = asked_until_refused(
        fi.guarded(tmp_path), asks, "beyond 0.05 traits per person"
    )
    assert len(answers) == int(0.05 * fi.people) == 4
    # The first trait of so few rows is within what passes without a review.
    assert reviews == 3
    products = np.column_stack([answers[0].allele_count, *(part.gy for part in answers)])
    found = right(attack.many_traits(_columns(fi, TRAITS[:4]), products), truth)
    told(
        title,
        "default policy",
        f"refused after {len(answers)} traits, the last {reviews} of them reviewed: {found:.1%} of "
        f"genotypes",
    )
    assert found < 0.01


def test_a_genome_is_linked_to_the_traits_of_its_owner(fi, told, tmp_path):
    """Whose of 503 genomes goes with which line of a table of traits."""
    rows, most = listed(fi), 15
    y = _columns(fi, TRAITS[:most])[:, 1:]
    owner = np.flatnonzero(fi.included)
    title = f"whose of 503 genomes goes with which of {fi.people} lines of traits"
    for stage, answer in (("bare sums", unprotected), ("floors alone", released)):
        products = answer(fi, linear(MeanSums, fi, rows, TRAITS[:most])).gy
        shares = {}
        for traits in (1, 2, 4, 8, most):
            who = attack.whose_genomes(y[:, :traits], products[:, :traits], fi.dosage[rows])
            shares[traits] = float((who == owner).mean())
        assert shares[most] > 0.95
        assert shares[1] < 0.05
        found = ", ".join(f"{share:.0%} with {number}" for number, share in shares.items())
        told(title, stage, f"of people, {found} traits")
    asks = (linear(MeanSums, fi, rows, (trait,)) for trait in TRAITS)
    answers, reviews = asked_until_refused(
        fi.guarded(tmp_path), asks, "beyond 0.05 traits per person"
    )
    assert reviews == len(answers) == 4
    products = np.column_stack([part.gy for part in answers])
    found = (attack.whose_genomes(y[:, :4], products, fi.dosage[rows]) == owner).mean()
    told(
        title,
        "default policy",
        f"each request to review; approved all the same, refused after 4 traits: {found:.0%} of "
        f"people",
    )
    assert found < 0.3


def _by_ratio(shares: dict[float, float]) -> str:
    found = [f"{share:.1%} at {ratio}" for ratio, share in shares.items()]
    return f"of genotypes, {', '.join(found)} traits a person"


def _published_products(fi: Country, rows: NDArray, traits: tuple[str, ...]) -> NDArray:
    """Allele counts and gᵀy as they follow from a result's n, frequency, β and SE."""
    y = _columns(fi, traits)[:, 1:]
    plan = linear(MeanSums, fi, rows, traits)
    found = fit_of(fi, plan)
    products = attack.trait_products(found.beta, found.se, found.df, (y**2).sum(axis=0))
    return np.column_stack([2 * found.n[:, 0] * found.allele_frequency[:, 0], products])


def fit_of(fi: Country, rows: Ask) -> LinearResult:
    """What would be published of these sums."""
    design = Ask(DesignSums, rows.parameters)
    scale = np.ones(len(rows.parameters.traits))
    return finalize(unprotected(fi, design), unprotected(fi, rows), scale)


# -- participants ----------------------------------------------------------------------------------


def test_of_two_sites_each_knows_the_other_by_subtraction(countries, told):
    finns, britons, others = (countries[name] for name in ("FIN", "GBR", "TSI"))
    rows = np.arange(23_770)
    answers = [unprotected(one, counts(one, rows)) for one in (finns, britons, others)]
    rest = attack.subtract(merge(answers[:2]), answers[0])
    assert (rest.allele_count == answers[1].allele_count).all()
    assert int(rest.people[0]) == britons.people
    title = "subtraction by a participant"
    told(title, "bare sums", "two sites: the other's counts, all rows exact")
    rest = attack.subtract(merge(answers), answers[0])
    assert (rest.allele_count == merge(answers[1:]).allele_count).all()
    assert load_policy("default").min_sites >= 3
    told(title, "floors alone", "as bare sums, for the rows shown")
    told(title, "default policy", "at least three sites: the sum of two others")

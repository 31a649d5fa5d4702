"""Four national sites that share only sums, against everybody's genotypes in one place.

Geuvadis: 85,485 variants of chromosome 22 x the expression of 40 genes, 3,419,400 regressions on
sex and ten expression components, one intercept per population.
"""

from __future__ import annotations

import numpy as np
import pytest

import genome_eu as ge
from genome_eu.errors import NeedsReview, Refused
from tests.federation.policies import floors_file
from tests.peers import oracle

pytestmark = pytest.mark.slow

TOLERANCE = 1e-9
ROWS, GENES = 85_485, 40
SITES = ("CEU", "FIN", "GBR", "TSI")
DUMMIES = ("site_FIN", "site_GBR", "site_TSI")


def genes(peer):
    return [column for column in peer.samples if column.startswith("ENSG")]


def federate(peer, policy):
    sites = {name: peer.cohort.where(population=name) for name in SITES}
    return ge.federate(sites, policy=policy)


def fitted(found):
    names = ("beta", "se", "neg_log10_p")
    return {name: found[f"variant_linreg_{name}"].values for name in names}


def pooled(peer, traits):
    site = peer.samples["population"].to_numpy(str)
    return oracle.fit_imputed(peer.dosage, peer.x, peer.samples[traits].to_numpy(float), site)


def assert_equal(ours, exact, shown, title, where=slice(None), **more):
    assert np.isfinite(exact["beta"]).all()
    found = oracle.distances(ours, exact, where)
    shown(title, tests=f"{exact['beta'].size:,}", **found, **more)
    assert max(found.values()) <= TOLERANCE


@pytest.fixture(scope="module")
def federated(geuvadis):
    return federate(geuvadis, "open-data").gwas(genes(geuvadis), covariates=geuvadis.covariates)


def test_the_sites_are_the_four_populations(geuvadis):
    sizes = geuvadis.samples["population"].value_counts()
    assert dict(sizes) == {"FIN": 92, "TSI": 91, "CEU": 89, "GBR": 86}
    assert geuvadis.dosage.shape == (ROWS, 358)
    assert len(genes(geuvadis)) == GENES


def test_every_answer_equals_the_pooled_least_squares_fit(geuvadis, federated, shown):
    exact = pooled(geuvadis, genes(geuvadis))
    assert exact["beta"].shape == (ROWS, GENES)
    assert (federated["variant_linreg_errcode"].values == ".").all()
    assert (federated["variant_linreg_df"].values == exact["df"]).all()
    assert (federated["variant_linreg_n"].values == 358).all()
    assert_equal(fitted(federated), exact, shown, "A federated vs pooled oracle, complete")


def test_every_answer_equals_our_own_pooled_run_with_site_covariates(geuvadis, federated, shown):
    found = geuvadis.cohort.gwas(genes(geuvadis), covariates=(*geuvadis.covariates, *DUMMIES))
    assert (found["variant_linreg_df"].values == federated["variant_linreg_df"].values).all()
    assert_equal(fitted(federated), fitted(found), shown, "A federated vs one cohort with dummies")


def test_every_answer_equals_the_pooled_fit_when_calls_are_missing(geuvadis_2pc_out, shown):
    peer = geuvadis_2pc_out
    missing = float((peer.dosage < 0).mean())
    assert missing == pytest.approx(0.02, abs=0.001)
    found = federate(peer, "open-data").gwas(genes(peer), covariates=peer.covariates)
    exact = pooled(peer, genes(peer))
    assert exact["beta"].shape == (ROWS, GENES)
    assert (found["variant_linreg_errcode"].values == ".").all()
    assert_equal(
        fitted(found), exact, shown, "A federated vs pooled oracle, 2 % out", missing=missing
    )


def test_leaving_people_out_row_by_row_federates_too(geuvadis_2pc_out, shown):
    """`drop` in four sites equals `drop` in one cohort with a dummy covariate per site."""
    peer, traits = geuvadis_2pc_out, genes(geuvadis_2pc_out)[:3]
    some = peer.cohort.on_rows(peer.cohort.rows.iloc[::7])
    sites = {name: some.where(population=name) for name in SITES}
    asked = ge.federate(sites, policy="open-data")
    found = asked.gwas(traits, covariates=peer.covariates, missing="drop")
    whole = some.gwas(traits, covariates=(*peer.covariates, *DUMMIES), missing="drop")
    assert (found["variant_linreg_n"].values == whole["variant_linreg_n"].values).all()
    assert (found["variant_linreg_df"].values == whole["variant_linreg_df"].values).all()
    assert_equal(fitted(found), fitted(whole), shown, "A federated vs one cohort, drop, 2 % out")
    called = (peer.dosage[::7] >= 0).sum(axis=1)
    assert (found["variant_linreg_n"].values[:, 0] == called).all()


def leverage(peer, traits):
    """The largest share of one person in the columns of a question, at any site."""
    columns = np.hstack([peer.x, peer.samples[traits].to_numpy(float)])
    largest = []
    for name in SITES:
        mine = columns[(peer.samples["population"] == name).to_numpy()]
        centred = (mine - mine.mean(axis=0)) / mine.std(axis=0)
        largest.append((np.linalg.qr(centred)[0] ** 2).sum(axis=1).max())
    return max(largest)


def test_floors_withhold_rows_and_change_none(geuvadis, shown, tmp_path):
    """What is let through is the pooled answer; what is not is what the floors say.

    The floors are those of the default policy, which would have a person look at the answer first.
    """
    traits = []
    for gene in genes(geuvadis):
        if leverage(geuvadis, [*traits, gene]) > 0.5:
            break
        traits.append(gene)
    asked = federate(geuvadis, floors_file(tmp_path))
    found = asked.gwas(traits, covariates=geuvadis.covariates)

    site = geuvadis.samples["population"].to_numpy(str)
    shareable = np.ones(ROWS, bool)
    for name in SITES:
        mine = geuvadis.dosage[:, site == name]
        alleles = mine.sum(axis=1)
        rarer = np.minimum(alleles, 2 * mine.shape[1] - alleles)
        shareable &= (rarer == 0) | (rarer >= 10)
    answered = found["variant_linreg_errcode"].values[:, 0] == "."
    rows = geuvadis.cohort.rows
    place = {
        key: row for row, key in enumerate(zip(rows.position, rows.ref, rows.alt, strict=True))
    }
    names = zip(found["variant_position"].values, found["variant_allele"].values, strict=True)
    where = np.array([place[(int(at), str(ref), str(alt))] for at, (ref, alt) in names])
    assert where[answered].tolist() == np.flatnonzero(shareable).tolist()

    exact = {
        name: value[shareable] if np.ndim(value) else value
        for name, value in pooled(geuvadis, traits).items()
    }
    assert_equal(
        fitted(found),
        exact,
        shown,
        "A floors of the default policy vs pooled oracle",
        answered,
        traits=len(traits),
        rows_suppressed=f"{ROWS - int(answered.sum()):,} of {ROWS:,}",
    )
    assert 0 < answered.sum() < ROWS
    assert found.attrs["policies"] == '["floors"]'


def test_the_default_policy_has_a_person_look_first(geuvadis, shown):
    """Eighty-six people and thousands of rows: membership would be known, whatever the floors."""
    gene = next(one for one in genes(geuvadis) if leverage(geuvadis, [one]) <= 0.5)
    questions = {
        "frequencies": lambda eu: eu.frequencies(),
        "pca": lambda eu: eu.pca(2),
        "gwas": lambda eu: eu.gwas(gene, covariates=geuvadis.covariates),
    }
    some = geuvadis.cohort.on_rows(geuvadis.cohort.rows.iloc[::50])
    for name, ask in questions.items():
        asked = ge.federate({one: some.where(population=one) for one in SITES}, policy="default")
        with pytest.raises(NeedsReview, match=r"with power (0\.99|1\.00) at 5% false") as refusal:
            ask(asked)
        shown(f"A default policy, {name}", said=str(refusal.value).split("; ")[0])


def test_the_default_policy_refuses_columns_that_single_out_a_person(geuvadis, shown):
    """Eight genes at once, one of them with an outlier: the whole question, not a row of it."""
    traits = genes(geuvadis)[:8]
    alone = sum(leverage(geuvadis, [gene]) <= 0.5 for gene in genes(geuvadis))
    shown(
        "A default policy, leverage",
        of_8_genes=f"{leverage(geuvadis, traits):.2f}",
        genes_let_through_alone=f"{alone} of {GENES}",
    )
    assert leverage(geuvadis, traits) > 0.5
    some = geuvadis.cohort.on_rows(geuvadis.cohort.rows.iloc[::50])
    asked = ge.federate({name: some.where(population=name) for name in SITES})
    with pytest.raises(Refused, match=r"give one person a leverage of more than 0\.5 \(policy def"):
        asked.gwas(traits, covariates=geuvadis.covariates)


def test_p_values_have_their_digits_in_the_tails(federated, shown):
    """The strongest and the weakest of 3.4 million, in 30-digit arithmetic."""
    t = federated["variant_linreg_t_value"].values.ravel()
    log_p = federated["variant_linreg_neg_log10_p"].values.ravel()
    df = int(federated["variant_linreg_df"].values[0, 0])
    order = np.argsort(log_p)
    chosen = np.r_[order[:40], order[-40:], np.random.default_rng(0).choice(t.size, 40)]
    exact = np.array([-oracle.log10_mpf(oracle.exact_p(t[k], df)) for k in chosen])
    worst = float((np.abs(log_p[chosen] - exact) / np.maximum(1.0, exact)).max())
    shown("A p-values vs 30 digits", strongest=f"{log_p.max():.2f}", worst=worst)
    assert worst <= 1e-13

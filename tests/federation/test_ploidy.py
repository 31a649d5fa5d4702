"""What a site answers at rows where some of its people have one copy, and what it withholds."""

from __future__ import annotations

import numpy as np
import pytest

import genome_eu as ge
from genome_eu.disclosure import Policy
from genome_eu.errors import BundleError, NoAnswer, Refused
from genome_eu.federation.bundle import MemoryArrays
from genome_eu.federation.carriers.memory import Memory
from genome_eu.federation.coordinator import Federation
from genome_eu.federation.parameters.counts import GenotypeCountsParameters, HaploidCountsParameters
from genome_eu.federation.parameters.linear import LinearParameters
from genome_eu.federation.plan import Ask
from genome_eu.federation.site import Site
from genome_eu.stats import variants
from genome_eu.stats.counts import GenotypeCounts, HaploidCounts
from genome_eu.stats.linear import DesignSums
from genome_eu.stats.ploidy import rows_of
from genome_eu.stats.regions import regions
from tests import sex_contigs
from tests.federation.policies import NO_MEMORY, changed
from tests.oracles import haploid

#: Floors of people and alleles only.
FEW = {"min_people": 8, "allele_floor": 0, "genotype_floor": 0, "association_floor": 0}
LOOSE = changed(**NO_MEMORY, differencing_floor=0, **FEW)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> sex_contigs.SexContigs:
    folder = tmp_path_factory.mktemp("sites")
    return sex_contigs.simulate(folder, people=120, seed=21, unknown=0, most_alts=1)


def site_of(simulated, name: str, people, policy: Policy = LOOSE) -> Site:
    return Site(name, simulated.store, policy, people=people)


def chosen(simulated, males: int, females: int, start: int = 0) -> np.ndarray:
    """So many people of each sex, from the `start`th on."""
    people = np.zeros(len(simulated.people), bool)
    for sex, number in (("M", males), ("F", females)):
        people[np.flatnonzero(simulated.sex(sex))[start : start + number]] = True
    return people


def panel_of(site: Site, kind: str) -> dict[str, np.ndarray]:
    rows = site.own_rows[rows_of(kind, site.ploidy[site.own_rows])]
    return {"panel": variants.encode(site.store.names(rows))}


def lines(inputs) -> int:
    return bytes(inputs["panel"]).count(b"\n")


def counted(site: Site, kind: str, **more) -> HaploidCounts:
    inputs = panel_of(site, kind)
    parameters = HaploidCountsParameters(**({"by": (), "groups": ()} | more), ploidy=kind)
    plan = Ask(HaploidCounts, parameters, inputs, lines(inputs)).plan(
        "study", 0, (site.name,), 8192, reader="hub"
    )
    spool = MemoryArrays()
    site.release(plan, inputs, spool)
    return spool.get(0)


class TestWhatIsWithheld:
    def test_rows_of_x_where_few_are_of_one_sex(self, simulated):
        """AN would tell how many males there are, and their genotypes are near at hand."""
        enough = counted(site_of(simulated, "A", chosen(simulated, 12, 30)), "x")
        assert enough.alleles_shown.all()
        for males, females in ((3, 30), (30, 3)):
            few = counted(site_of(simulated, "A", chosen(simulated, males, females)), "x")
            assert not few.alleles_shown.any()
            for name in ("called", "haploid", "allele_count", "het", "hom_alt", "lost"):
                assert not getattr(few, name).any(), name

    def test_rows_of_x_where_everybody_is_of_one_sex_are_shown(self, simulated):
        assert counted(site_of(simulated, "A", chosen(simulated, 30, 0)), "x").alleles_shown.all()

    def test_few_males_are_nobody_on_y(self, simulated):
        few = counted(site_of(simulated, "A", chosen(simulated, 3, 30)), "y")
        assert not few.alleles_shown.any()
        assert few.people.tolist() == [0]

    def test_both_alleles_of_the_haploid_are_gated_together(self, simulated):
        policy = changed(**NO_MEMORY, differencing_floor=0, **(FEW | {"genotype_floor": 6}))
        part = counted(site_of(simulated, "A", chosen(simulated, 40, 40), policy), "mt")
        told = part.genotypes_shown[:, 0]
        assert 0 < told.sum() < told.size
        site = site_of(simulated, "A", chosen(simulated, 40, 40))
        whole = counted(site, "mt")
        smaller = np.minimum(whole.hap_ref, whole.hap_alt)[:, 0]
        np.testing.assert_array_equal(told, (smaller >= 6) | (smaller == 0) & policy.show_zero)

    def test_groups_by_sex_fall_with_each_other(self, simulated):
        site = site_of(simulated, "A", chosen(simulated, 30, 30))
        part = counted(site, "x", by=("sex",), groups=("F", "M"))
        np.testing.assert_array_equal(part.people, [60, 30, 30])
        assert not part.haploid[:, 1].any()
        np.testing.assert_array_equal(part.haploid[:, 2], part.called[:, 2])

    def test_few_wrong_calls_are_not_counted(self, simulated):
        policy = changed(**NO_MEMORY, differencing_floor=0, **(FEW | {"genotype_floor": 1000}))
        part = counted(site_of(simulated, "A", chosen(simulated, 40, 40), policy), "mt")
        assert not part.lost.any()


class TestWhatIsRefused:
    def test_rows_of_another_kind(self, simulated):
        site = site_of(simulated, "A", chosen(simulated, 40, 40))
        inputs = panel_of(site, "x")
        ask = Ask(GenotypeCounts, GenotypeCountsParameters(by=(), groups=()), inputs, lines(inputs))
        plan = ask.plan("study", 0, ("A",), 8192, reader="hub")
        with pytest.raises(BundleError, match="rows that are not diploid at this site"):
            site.release(plan, inputs, MemoryArrays())

    def test_places_are_for_ones_own_cohort(self, simulated):
        site = site_of(simulated, "A", chosen(simulated, 40, 40))
        for inputs in ({"places": np.arange(2)}, panel_of(site, "mt") | {"places": np.arange(2)}):
            parameters = HaploidCountsParameters(by=(), groups=(), ploidy="mt")
            plan = Ask(HaploidCounts, parameters, inputs, 7).plan(
                "study", 0, ("A",), 8192, reader="hub"
            )
            with pytest.raises(BundleError, match="the plan names no panel"):
                site.release(plan, inputs, MemoryArrays())

    def test_a_plan_names_sex_where_it_needs_it(self):
        parameters = {
            "traits": ("ldl",),
            "groups": (0,),
            "covariates": ("age",),
            "pca": None,
            "trait_mean": (0.0,),
            "trait_scale": (1.0,),
            "covariate_mean": (0.0,),
            "covariate_scale": (1.0,),
            "site_effects": True,
        }
        named = [
            Ask(DesignSums, LinearParameters(**parameters, ploidy=kind))
            .plan("study", 0, ("A",), 8192, reader="hub")
            .columns
            for kind in ("diploid", "x", "mt")
        ]
        assert named == [("ldl", "age"), ("ldl", "age", "sex"), ("ldl", "age")]


def test_without_sexes_there_are_no_rows_of_x_and_y(simulated, tmp_path):
    people = simulated.people.drop(columns="sex")
    people.to_csv(tmp_path / "people.tsv", sep="\t", na_rep="NA")
    path = tmp_path / "nobody.vcz"
    ge.import_genotypes(simulated.vcf, path, samples=tmp_path / "people.tsv")
    found = ge.open_cohort(path).frequencies()
    assert set(found["variant_ploidy_class"].values) == {"autosomal", "pseudoautosomal", "mt"}
    rows = simulated.sites["alts"][simulated.sites["kind"].isin(["x", "y"])].sum() + 2
    assert f'"rows of unknown ploidy": {rows}' in found.attrs["left_out"]


class TestSitesThatDiffer:
    """One site has so few males that its policy does not let them be told."""

    @pytest.fixture
    def sites(self, simulated) -> dict[str, Site]:
        return {
            "many": site_of(simulated, "many", chosen(simulated, 30, 30)),
            "few": site_of(simulated, "few", chosen(simulated, 4, 26, start=30)),
        }

    @pytest.fixture
    def federation(self, sites) -> Federation:
        return Federation("test", Memory(sites), tuple(sites))

    def test_its_people_take_no_part_in_models_of_x_and_y(self, simulated, federation, sites):
        found = federation.gwas("trait", covariates="age")
        alone = Federation("one", Memory({"many": sites["many"]}), ("many",))
        expected = alone.gwas("trait", covariates="age")
        kinds = np.array([kind for _, _, kind in simulated.rows])
        n = found["variant_linreg_n"].values[:, 0]
        assert {kind: set(n[kinds == kind]) for kind in ("diploid", "x", "y", "mt")} == {
            "diploid": {90},
            "x": {60},
            "y": {30},
            "mt": {90},
        }
        for name in ("beta", "se", "df"):
            np.testing.assert_allclose(
                found[f"variant_linreg_{name}"].values[np.isin(kinds, ["x", "y"])],
                expected[f"variant_linreg_{name}"].values[np.isin(kinds, ["x", "y"])],
                rtol=1e-12,
            )

    def test_its_rows_of_x_are_withheld_from_the_total(self, simulated, federation):
        found = federation.frequencies()
        kinds = np.array([kind for _, _, kind in simulated.rows])
        withheld = found["variant_allele_withheld"].values
        assert withheld[np.isin(kinds, ["x", "y"])].all()
        assert not withheld[np.isin(kinds, ["diploid", "mt"])].any()


def test_an_allele_of_one_person_counts_once(simulated):
    """Coded 0 or 2, five haploid carriers would pass a floor of ten alleles."""
    people = chosen(simulated, 40, 40)
    floor = 2 * FEW["min_people"]
    policy = changed(**NO_MEMORY, differencing_floor=0, **(FEW | {"association_floor": floor}))
    site = site_of(simulated, "A", people, policy)
    federation = Federation("test", Memory({"A": site}), ("A",))
    found = federation.gwas("trait")
    codes = found["variant_linreg_errcode"].values[:, 0]
    for row, (place, alt, kind) in enumerate(simulated.rows):
        if kind != "mt":
            continue
        of = haploid.counts(simulated.alleles[place], alt, simulated.haploid(kind), people)
        fewest = min(of["n_hap_alt"], of["n_hap_ref"])
        assert (codes[row] == "WITHHELD") == (0 < fewest < floor), (row, fewest)


def test_a_policy_that_does_not_know_the_question(simulated):
    policy = changed(
        **NO_MEMORY,
        differencing_floor=0,
        **FEW,
        statistics=("variant_list", "group_sizes", "genotype_counts"),
    )
    site = site_of(simulated, "A", chosen(simulated, 40, 40), policy)
    federation = Federation("test", Memory({"A": site}), ("A",))
    with pytest.raises((Refused, NoAnswer), match="haploid_counts"):
        federation.frequencies()


def test_rows_that_a_site_lacks_count_the_copies_that_its_people_have(simulated):
    """Where it could have called them: AN on X is two a female and one a male."""
    here = regions(
        np.array(["1", "X", "Y", "MT"], object), np.zeros(4, np.int64), np.full(4, 2 * 10**8)
    )
    sites = {
        name: Site(name, simulated.store, LOOSE, people=people, callable_regions=here)
        for name, people in (
            ("A", chosen(simulated, 20, 15)),
            ("B", chosen(simulated, 12, 14, start=25)),
        )
    }
    kinds = np.array([kind for _, _, kind in simulated.rows])
    lacking = [int(np.flatnonzero(kinds == kind)[1]) for kind in ("diploid", "x", "y", "mt")]
    sites["B"].own_rows = np.delete(sites["B"].own_rows, lacking)
    federation = Federation("test", Memory(sites), tuple(sites))
    both = federation.frequencies(panel="union")
    alone = Federation("one", Memory({"A": sites["A"]}), ("A",)).frequencies()
    assert both.sizes["variants"] == len(kinds)
    more = (both["variant_allele_total"] - alone["variant_allele_total"]).values[lacking]
    assert more.tolist() == [2 * 26, 12 + 2 * 14, 12, 26]
    for name in ("n_het", "n_hom_alt", "n_hap_alt"):
        same = (both[f"variant_{name}"] - alone[f"variant_{name}"]).values[lacking]
        assert not same.any(), name
    references = (both["variant_n_hap_ref"] - alone["variant_n_hap_ref"]).values[lacking]
    assert references.tolist() == [0, 12, 12, 26]

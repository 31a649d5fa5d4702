"""Limits on people and rows: how they are written, what leaves of whom they remove, and the ledger."""

from __future__ import annotations

import stat

import numpy as np
import pytest

from genome_eu import open_cohort
from genome_eu.disclosure import Facts, load_policy
from genome_eu.disclosure.holding import _asked
from genome_eu.disclosure.rules.filters import removed_people
from genome_eu.errors import BadInput, PanelError, Refused, SampleError, UsageError
from genome_eu.federation import secure_sum
from genome_eu.federation.carriers.memory import Memory
from genome_eu.federation.coordinator import Federation
from genome_eu.federation.filters import as_filters, read_filters
from genome_eu.federation.inside.state import SiteState
from genome_eu.federation.parameters.filters import (
    Filters,
    PeopleFilters,
    RemovedPeopleParameters,
)
from genome_eu.federation.plan import Ask, Plan
from genome_eu.federation.site import Site
from genome_eu.stats.qc.removal import PERSON_REASONS, RemovedPeople
from genome_eu.stats.qc.removed import RemovedCounts, count_removed
from tests.federation.policies import NO_MEMORY, changed
from tests.federation.small_sites import PEOPLE, ROWS, variants
from tests.oracles.hwe import neg_log10_p

FLOORS = changed(**NO_MEMORY, differencing_floor=0)
ASK = Ask(RemovedCounts, RemovedPeopleParameters())


def federation(made, policy=FLOORS, **more) -> Federation:
    sites = {name: Site.open(name, one.store, policy) for name, one in made.items()}
    return Federation("small", Memory(sites), tuple(sites), **more)


class TestFile:
    def test_tables_are_limits(self, tmp_path):
        path = tmp_path / "qc.toml"
        path.write_text(
            "[people]\nmin_call_rate = 0.97\nsex_check = true\nunrelated = 0.0884\n"
            "[variants]\nhwe = 1e-6\nhwe_by = ['population']\nmin_maf = 0.01\n"
        )
        found = read_filters(path)
        assert found.people == PeopleFilters(min_call_rate=0.97, sex_check=True, unrelated=0.0884)
        assert found.variants.limits.hwe == 1e-6
        assert found.said == {
            "people": {"min_call_rate": 0.97, "sex_check": True, "unrelated": 0.0884},
            "variants": {"hwe": 1e-6, "hwe_by": ["population"], "min_maf": 0.01},
        }
        assert as_filters(path, 0.177).people.unrelated == 0.177
        assert as_filters({}) == Filters()
        assert not Filters()

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "[people]\nmin_callrate = 1",
                r"qc.toml: people.min_callrate: there is no such limit; .*min_call_rate",
            ),
            ("[people]\nmin_call_rate = 97", "people.min_call_rate: .* less than or equal to 1"),
            ("[people]\nunrelated = 0.01", "people.unrelated: .* greater than or equal to 0.0442"),
            ("[people]\nmin_f = 0.2\nmax_f = 0.1", "people: min_f is above max_f"),
            ("[people]\nmax_heterozygosity_sd = inf", "people.max_heterozygosity_sd"),
            ("[variants]\nhwe_by = ['sex']", "variants: hwe_by needs hwe"),
            ("[variants]\nmin_maf = nan", "variants.min_maf"),
            ("[rows]\n", "rows: there is no such limit; there are people: "),
            ("people", "is not TOML"),
        ],
    )
    def test_wrong_limits_are_named(self, tmp_path, text, message):
        path = tmp_path / "qc.toml"
        path.write_text(text)
        with pytest.raises(BadInput, match=message):
            read_filters(path)

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(BadInput, match=r"none.toml cannot be read"):
            read_filters(tmp_path / "none.toml")
        with pytest.raises(UsageError, match=r"filters: people.unrelated"):
            as_filters({}, 0.9)


class TestPlan:
    def test_limits_are_part_of_the_question(self):
        plan = ASK.plan("study", 0, ("FI",), 8192)
        narrowed = ASK.plan("study", 0, ("FI",), 8192, people=PeopleFilters(unrelated=0.1))
        assert plan.hash != narrowed.hash
        assert Plan.model_validate_json(narrowed.model_dump_json()) == narrowed
        assert narrowed.columns == ()
        sexes = ASK.plan("study", 0, ("FI",), 8192, people=PeopleFilters(sex_check=True))
        assert sexes.columns == ("sex",)

    def test_a_plan_with_limits_out_of_bounds_is_no_plan(self):
        said = ASK.plan("study", 0, ("FI",), 8192).model_dump(mode="json")
        with pytest.raises(ValueError, match="unrelated"):
            Plan.model_validate(said | {"people": {"unrelated": -1.0}})


class TestWhatLeaves:
    """How many are removed is told where it is nobody, or enough people."""

    def part(self, **numbers: int) -> RemovedCounts:
        reason = np.repeat(
            [-1, *range(len(PERSON_REASONS))],
            [50, *(numbers.get(name, 0) for name in PERSON_REASONS)],
        )
        return count_removed(RemovedPeople(np.ones(len(reason), bool), reason.astype(np.int8)))

    def said(self, **numbers: int):
        part, evidence = removed_people(self.part(**numbers), FLOORS, Facts(people=50))
        assert evidence[-1].check == "people removed"
        assert (evidence[-1].verdict == "withheld") == (not part.reasons_shown)
        hidden = part.total if part.total_shown else 0
        assert part.removed.sum() in (hidden, 0)
        return part.said()

    def test_enough_people(self):
        assert self.said(call_rate=30, related=20) == {"call_rate": 30, "related": 20}
        assert self.said() == {}

    def test_a_reason_of_few_people(self):
        assert self.said(call_rate=30, related=2) == {"in all": 32}
        assert self.said(call_rate=4, related=4, sex=4) == {"in all": 12}

    def test_few_people_in_all(self):
        assert self.said(related=2) is None
        assert self.said(related=FLOORS.min_people - 1) is None
        assert self.said(related=FLOORS.min_people) == {"related": FLOORS.min_people}

    def test_too_few_people_left(self):
        with pytest.raises(Refused, match="people would be described"):
            removed_people(self.part(related=40), FLOORS, Facts(people=2))

    def test_in_a_secure_sum_nothing_is_told(self):
        untold = secure_sum.openly(self.part(related=40))
        assert untold.said() is None
        assert not untold.removed.any()
        assert untold.total == 0

    def test_what_another_site_says_is_read_with_care(self):
        odd = RemovedCounts(total=7, removed=np.array([7]), total_shown=True, reasons_shown=True)
        assert odd.said() == {"in all": 7}


class TestSites:
    def test_few_removed_are_not_told(self, made):
        limits = {"people": {"max_heterozygosity_sd": 2.0}}
        found = federation(made).filtered(limits).frequencies()
        assert '"people too few to tell"' in found.attrs["left_out"]
        assert "max_heterozygosity_sd" in found.attrs["question"]

    def test_a_question_with_few_people_less_is_refused(self, made, tmp_path):
        """Else the difference of two answers would be the removed people's genotypes."""
        policy = changed(membership_power=1.0)
        site = Site.open("FI", made["FI"].store, policy, state=SiteState(tmp_path))
        asked = Federation("one", Memory({"FI": site}), ("FI",))
        asked.frequencies()
        lost = PEOPLE["FI"] - site.among(PeopleFilters(max_heterozygosity_sd=2.0)).people
        assert 0 < lost < policy.differencing_floor
        with pytest.raises(Refused, match="its people differ from those of an earlier answer"):
            asked.filtered({"people": {"max_heterozygosity_sd": 2.0}}).frequencies()
        asked.frequencies()

    def test_who_is_removed_is_found_out_once_and_kept_private(self, made, tmp_path, monkeypatch):
        limits = PeopleFilters(max_heterozygosity_sd=2.0, unrelated=0.0884)
        first = Site.open("FI", made["FI"].store, FLOORS, state=SiteState(tmp_path))
        narrowed = first.among(limits)
        assert narrowed is first.among(limits)
        assert first.among(PeopleFilters()) is first
        assert first.people == PEOPLE["FI"]
        assert narrowed.cohort_digest != first.cohort_digest
        assert len(narrowed.table.included) == PEOPLE["FI"]
        assert narrowed.table.included.sum() == narrowed.people < PEOPLE["FI"]
        (kept,) = (tmp_path / "removed").iterdir()
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
        again = Site.open("FI", made["FI"].store, FLOORS, state=SiteState(tmp_path))
        monkeypatch.setattr(Site, "measures", None)
        monkeypatch.setattr(Site, "relatives", None)
        np.testing.assert_array_equal(again.among(limits).included, narrowed.included)
        # Other people, other relatives.
        fewer = np.arange(PEOPLE["FI"]) > 3
        other = Site.open("FI", made["FI"].store, FLOORS, people=fewer, state=SiteState(tmp_path))
        with pytest.raises(TypeError):
            other.among(limits)

    def test_limits_that_leave_nobody_or_few_are_answered_alike(self, made):
        """Else a limit that is moved would tell where the last person lies."""
        one = Site.open("ES", made["ES"].store, FLOORS)
        f = np.sort(one.measures().f)
        said = set()
        for least in (0.99, (f[-2] + f[-3]) / 2):
            limits = {"people": {"min_f": float(least)}}
            with pytest.raises(Refused, match="people would be described") as refusal:
                federation({"ES": made["ES"]}).filtered(limits).frequencies()
            said.add(str(refusal.value))
        assert len(said) == 1
        with pytest.raises(SampleError, match="the limits on people leave nobody of es"):
            open_cohort(made["ES"].store).filtered({"people": {"min_f": 0.99}})

    def test_a_data_officer_reads_the_limits(self):
        plan = ASK.plan("study", 0, ("FI",), 8192, people=PeopleFilters(unrelated=0.1))
        assert _asked(plan)["parameters"] == {"people": {"unrelated": 0.1}}
        assert _asked(ASK.plan("study", 0, ("FI",), 8192))["parameters"] == {}

    def test_limits_that_leave_no_row(self, made):
        with pytest.raises(PanelError, match="remove every row; loosen them"):
            federation(made).filtered({"variants": {"min_maf": 0.5, "hwe": 0.99}}).frequencies()

    def test_trios_are_no_matter_of_a_federation(self, made):
        limits = {"variants": {"max_mendel_error_rate": 0.1}}
        with pytest.raises(UsageError, match="max_mendel_error_rate is for `genome-eu qc`"):
            federation(made).filtered(limits).frequencies()

    def test_proportions_are_tested_within_sites_unless_groups_are_named(self, made):
        """Sites whose frequencies differ are each in proportion, and together are not."""
        asked = federation(made, load_policy("open-data"))
        found = asked.filtered({"variants": {"hwe": 0.01}}).frequencies()
        fails = np.zeros(ROWS, bool)
        for one in made.values():
            counts = [(one.dosage == copies).sum(axis=1) for copies in (1, 0, 2)]
            p = [neg_log10_p(*map(int, row)) for row in np.transpose(counts)]
            fails |= np.array(p) > 2
        assert 0 < fails.sum() < 10
        kept = np.array([position for _, _, position, _, _ in variants()])[~fails]
        assert found["variant_position"].values.tolist() == kept.tolist()
        by_group = {"hwe": 0.01, "hwe_by": ["population"]}
        other = asked.filtered({"variants": by_group}).frequencies()
        assert other.sizes["variants"] != found.sizes["variants"]

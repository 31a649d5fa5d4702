"""The protocol: masks cancel, totals are those of the clear sums, and everything else is refused."""

from __future__ import annotations

import contextlib
from dataclasses import fields, replace
from fractions import Fraction
from math import ulp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genome_eu.disclosure.policy import load_policy
from genome_eu.errors import BadInput, BundleError, Refused, UsageError
from genome_eu.federation import secure_sum
from genome_eu.federation.secure_sum import Floors, Ready, read_ready, ring
from genome_eu.federation.secure_sum.ranges import agreed_range
from genome_eu.stats import counts, linear, pca, traits, variants
from genome_eu.stats.aggregate import AGGREGATES, declared, merge
from tests import simulate
from tests.federation.secure_sums import (
    PEOPLE,
    SUMMABLE,
    aggregate,
    changed,
    names,
    plan_of,
    ready_message,
    round_of,
)
from tests.laws.splits import law

participants = st.integers(3, 7).map(names)


def floats(kind):
    summed = [item for item in declared(kind) if item.metadata["merge"] == "total"]
    return [item for item in summed if item.metadata["dtype"] is np.float64]


def exactly(values):
    """The sum of arrays without any rounding."""
    return np.sum([np.vectorize(Fraction, otypes=[object])(value) for value in values], axis=0)


class TestTotals:
    @pytest.mark.parametrize("statistic", SUMMABLE)
    @given(sites=participants, seed=st.integers(0, 1000))
    @law
    def test_the_total_is_that_of_the_clear_sums(self, statistic, sites, seed):
        this = round_of(plan_of(statistic, sites), seed)
        shards = {site: aggregate(statistic, seed + n) for n, site in enumerate(sites)}
        found, expected = this.total(this.masked(shards)), merge(list(shards.values()))
        assert type(found) is type(expected)
        for item in fields(expected):
            value, clear = getattr(found, item.name), getattr(expected, item.name)
            assert (value.dtype, value.shape) == (clear.dtype, clear.shape)
            if item not in floats(type(expected)):
                np.testing.assert_array_equal(value, clear, err_msg=item.name)
                continue
            error = agreed_range(this.plan, item, PEOPLE).error
            assert error <= 1e-12
            exact = exactly([getattr(shard, item.name) for shard in shards.values()])
            for one, true in zip(value.ravel().tolist(), np.ravel(exact), strict=True):
                assert abs(Fraction(one) - true) <= Fraction(error) + Fraction(ulp(one)) / 2
            # The clear sums are rounded too, once for each site.
            np.testing.assert_allclose(value, clear, rtol=0, atol=error + 1e-14)

    @pytest.mark.parametrize("statistic", SUMMABLE)
    @given(sites=participants)
    @law
    def test_masks_cancel(self, statistic, sites):
        this = round_of(plan_of(statistic, sites))
        masked = list(this.masked(dict.fromkeys(sites, aggregate(statistic, fill=0))).values())
        for name, summed in masked[0].items():
            for other in masked[1:]:
                assert (summed != other[name]).all()
                ring.add(summed, other[name])
            assert not summed.any()

    @pytest.mark.parametrize("statistic", ["linear_complete", "pca_projection", "trait_moments"])
    @given(data=st.data())
    @settings(max_examples=25, deadline=None)
    def test_no_value_within_the_bound_is_too_large_or_too_small(self, statistic, data):
        sites = data.draw(participants)
        plan = plan_of(statistic, sites)
        this, kind = round_of(plan), AGGREGATES[statistic]
        item = data.draw(st.sampled_from(floats(kind)))
        agreed = agreed_range(plan, item, PEOPLE)
        bound = float(agreed.bound)
        extreme = st.sampled_from([0.0, -0.0, 5e-324, -5e-324, bound, -bound, 1e-300, -1e-14])
        drawn = [data.draw(extreme | st.floats(-bound, bound)) for _ in sites]
        clear = aggregate(statistic)
        shape = getattr(clear, item.name).shape
        shards = {
            site: replace(clear, **{item.name: np.full(shape, value)})
            for site, value in zip(sites, drawn, strict=True)
        }
        found = getattr(this.total(this.masked(shards)), item.name)
        true = sum(Fraction(value) for value in drawn)
        nearest = Fraction(agreed.error) + Fraction(ulp(float(true))) / 2
        assert abs(Fraction(float(found.flat[0])) - true) <= nearest
        assert (found == found.flat[0]).all()

    def test_a_number_of_any_unit_keeps_its_digits(self):
        this = round_of(plan_of("trait_moments"))
        # Metres squared of a molecule's width; Hounsfield units times a billion people.
        units = np.array([3.7e-12**2, 1.0, 3.1e9 * 1e12**2])
        shards = dict.fromkeys(
            this.plan.sites, replace(aggregate("trait_moments"), trait_square=units)
        )
        np.testing.assert_allclose(
            this.total(this.masked(shards)).trait_square, 3 * units, rtol=1e-14
        )

    def test_a_restart_sends_the_same_bytes(self):
        shard = aggregate("linear_mean")
        one, again = (round_of(plan_of("linear_mean")).mask("S1", shard) for _ in range(2))
        assert {name: words.tobytes() for name, words in one.items()} == {
            name: words.tobytes() for name, words in again.items()
        }


class TestPatterns:
    """Whether two traits have the same people everywhere is asked of the sum, not of a site."""

    @given(data=st.data())
    @law
    def test_traits_are_together_where_they_are_at_every_site(self, data):
        this = round_of(plan_of("trait_moments", data.draw(participants)))
        pattern = st.lists(st.integers(0, 2), min_size=3, max_size=3)
        patterns = [np.array(data.draw(pattern)) for _ in this.plan.sites]
        shards = {
            site: replace(aggregate("trait_moments"), pattern=labels)
            for site, labels in zip(this.plan.sites, patterns, strict=True)
        }
        found = this.total(this.masked(shards))
        assert traits.trait_groups([found.pattern]) == traits.trait_groups(patterns)

    def test_the_sum_does_not_tell_how_many_sites_tell_two_traits_apart(self):
        this = round_of(plan_of("trait_moments"))
        alike = aggregate("trait_moments")
        apart = replace(alike, pattern=np.array([0, 1, 1]))
        sums = []
        for number in (0, 1, 3):
            shards = {
                site: apart if place < number else alike
                for place, site in enumerate(this.plan.sites)
            }
            words = [message["pattern"] for message in this.masked(shards).values()]
            for other in words[1:]:
                ring.add(words[0], other)
            sums.append(words[0][0].tolist())
        assert sums[0] == [0, 0, 0]
        # Pairs of traits: 0–1, 0–2, 1–2. Where any site tells them apart, the sum is noise.
        assert [value == 0 for value in sums[1]] == [False, False, True]
        assert [value == 0 for value in sums[2]] == [False, False, True]
        assert all(value > 2**32 for row in sums[1:] for value in row[:2])


class TestRanges:
    @pytest.mark.parametrize("statistic", sorted(AGGREGATES))
    def test_every_statistic_is_a_sum_with_ranges_or_names_things(self, statistic):
        kind = AGGREGATES[statistic]
        if not kind.__module__.startswith("genome_eu."):
            pytest.skip("declared by another test")
        if not secure_sum.summable(kind):
            return
        for item in declared(kind):
            if item.metadata["merge"] == "total" and item.name != "pattern":
                agreed = agreed_range(plan_of(statistic), item, PEOPLE)
                assert agreed.words <= 4
                assert agreed.bound * agreed.participants < 2 ** (64 * agreed.words - 1)
        this = round_of(plan_of(statistic))
        this.total(this.masked(dict.fromkeys(this.plan.sites, aggregate(statistic))))

    def test_words_follow_from_bound_and_error(self):
        gy = next(item for item in declared(linear.MeanSums) if item.name == "gy")
        few = agreed_range(plan_of("linear_mean"), gy, 4000)
        many = agreed_range(plan_of("linear_mean", names(29)), gy, 10**6)
        assert (few.words, many.words) == (1, 2)
        assert max(few.error, many.error) < 1e-12

    @pytest.mark.parametrize("value", [4.0 * PEOPLE * 1.001, np.nan, np.inf, -np.inf])
    def test_a_value_out_of_range_stays_where_it_is(self, value):
        shard = aggregate("linear_mean", fill=0)
        gy = shard.gy.copy()
        gy[3, 1] = value
        this = round_of(plan_of("linear_mean"))
        with pytest.raises(BadInput, match="linear_mean.gy lies outside the range agreed") as error:
            this.mask("S0", replace(shard, gy=gy))
        assert str(value) not in str(error.value)

    @pytest.mark.parametrize("value", [-1, 2 * PEOPLE + 1])
    def test_more_alleles_than_people_are_refused(self, value):
        shard = aggregate("genotype_counts", fill=0)
        wrong = replace(shard, allele_count=np.full_like(shard.allele_count, value))
        with pytest.raises(BadInput, match="allele_count lies outside the range"):
            round_of(plan_of("genotype_counts")).mask("S0", wrong)

    @pytest.mark.parametrize("people", [0, 2**32 + 1])
    def test_the_bound_on_people_has_bounds(self, people):
        this = round_of(plan_of("genotype_counts"))
        with pytest.raises(UsageError, match="a secure sum is over 1 to"):
            this.mask("S0", aggregate("genotype_counts"), people_bound=people)

    @pytest.mark.parametrize("missing", [0.0, 0.2])
    @pytest.mark.parametrize("seed", range(3))
    def test_real_sums_stay_within_ranges_that_fit_tightly(self, seed, missing):
        """With the bound on people equal to their number."""
        people, rows, sites = 60, 40, names(3)
        rng = np.random.default_rng(seed)
        dosage = simulate.dosages(rows, people, missing, seed)
        # One trait that is one person's, one heavy-tailed, one normal.
        y = np.column_stack(
            [np.eye(people)[0], rng.standard_cauchy(people), rng.normal(size=people)]
        )
        x = np.column_stack([np.arange(people) == 7, rng.standard_cauchy(people)]).astype(float)
        y, x = ((v - v.mean(axis=0)) / v.std(axis=0) for v in (y, x))
        observed = np.where(dosage < 0, np.nan, dosage)
        with np.errstate(invalid="ignore"):
            frequency = np.nan_to_num(np.nansum(observed, axis=1) / (2 * (dosage >= 0).sum(axis=1)))
        loadings = np.linalg.qr(rng.normal(size=(rows, 4)))[0]
        loadings[:, 3] = np.eye(rows)[3]
        parts: dict[str, list] = {}
        for site in range(3):
            here = slice(20 * site, 20 * site + 20)
            block = simulate.block(dosage[:, here])
            within, common = (
                linear.design(x[here], y[here], groups=(0, 0, 1), site_effects=effects)
                for effects in (True, False)
            )
            scores = pca.project_people(block, frequency, loadings)
            for part in (
                counts.summarize(block, np.zeros(20, int), 2),
                linear.summarize_mean(block, within),
                linear.summarize_raw(block, common),
                linear.summarize_complete(block, within),
                pca.summarize_projection(block, frequency, scores, 20),
            ):
                parts.setdefault(part.statistic, []).append(part)
        for statistic, shards in parts.items():
            this = round_of(plan_of(statistic, sites, rows=rows))
            masked = {
                site: this.mask(site, shard, people_bound=people)
                for site, shard in zip(sites, shards, strict=True)
            }
            found = secure_sum.total(this.plan, masked, people_bound=people)
            for item in floats(type(shards[0])):
                value, clear = (getattr(part, item.name) for part in (found, merge(shards)))
                np.testing.assert_allclose(value, clear, rtol=1e-15, atol=1e-12, err_msg=item.name)


class TestReadyMessages:
    plan = plan_of("genotype_counts")

    def test_what_is_written_can_be_read(self):
        for message in round_of(self.plan).ready:
            assert read_ready(message.content()) == message

    def test_a_changed_byte_is_another_message_or_none(self):
        message = round_of(self.plan).ready[0]
        content = message.content()
        for place in range(len(content)):
            for flip in (1, 32, 128):
                other = bytearray(content)
                other[place] ^= flip
                with contextlib.suppress(BundleError):
                    assert read_ready(bytes(other)) != message

    @pytest.mark.parametrize(
        "content",
        [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 100_000, b" " * 2**21, b'{"a":1,"a":2}'],
    )
    def test_other_content_is_refused(self, content):
        with pytest.raises(BundleError, match="a ready message is not what"):
            read_ready(content)

    def test_another_spelling_is_refused(self):
        content = round_of(self.plan).ready[0].content()
        for other in (content + b"\n", content.replace(b":1,", b": 1,"), content[:-1] + b',"x":1}'):
            with pytest.raises(BundleError):
                read_ready(other)

    def test_an_unsafe_key_is_refused(self):
        message = round_of(self.plan).ready[0]
        unsafe = "x25519:" + "A" * 43 + "="
        with pytest.raises(ValueError, match="not a safe X25519 key"):
            changed(message, key=unsafe)
        with pytest.raises(BundleError):
            read_ready(message.content().replace(message.key.encode(), unsafe.encode()))

    def test_floors_are_those_of_the_strictest(self):
        default, bare = (Floors.of(load_policy(name)) for name in ("default", "open-data"))
        own = bare.model_copy(update={"allele_floor": 30})
        strictest = Floors.strictest([default, bare, own])
        assert strictest == default.model_copy(update={"allele_floor": 30})
        assert not Floors.strictest(
            [default.model_copy(update={"show_zero": False}), bare]
        ).show_zero


class TestRefusals:
    def mask(self, this, ready, site="S0", **more):
        return this.mask(site, aggregate(this.plan.statistic), ready=tuple(ready), **more)

    @pytest.fixture
    def this(self):
        return round_of(plan_of("genotype_counts", names(4)))

    @pytest.mark.parametrize("number", [1, 2])
    def test_two_sites_are_too_few(self, number):
        this = round_of(plan_of("genotype_counts", names(number)))
        with pytest.raises(Refused, match="a secure sum needs 3 here"):
            self.mask(this, this.ready, min_sites=1)

    def test_a_site_may_ask_for_more(self, this):
        self.mask(this, this.ready, min_sites=4)
        with pytest.raises(Refused, match="4 sites take part, a secure sum needs 5 here"):
            self.mask(this, this.ready, min_sites=5)

    def test_a_site_named_twice_is_in_no_plan(self):
        with pytest.raises(ValueError, match="named twice"):
            plan_of("genotype_counts", ("S0", "S1", "S1"))

    def test_everybody_must_be_ready_once(self, this):
        for ready in (this.ready[:-1], (*this.ready, this.ready[0]), this.ready[:3] * 2):
            with pytest.raises(BundleError, match="not one of each site"):
                self.mask(this, ready)

    def test_a_stranger_is_refused(self, this):
        stranger = changed(this.ready[3], site="X")
        with pytest.raises(BundleError, match="not one of each site"):
            self.mask(this, (*this.ready[:3], stranger))

    def test_a_message_of_another_study_is_refused(self, this):
        elsewhere = round_of(plan_of("genotype_counts", names(4), study="other"))
        with pytest.raises(BundleError, match="S2 is not one for this plan"):
            self.mask(this, (*this.ready[:2], elsewhere.ready[2], this.ready[3]))

    def test_a_message_about_other_participants_is_refused(self, this):
        other = changed(this.ready[1], participants=names(5))
        with pytest.raises(BundleError, match="S1 is not one for this plan"):
            self.mask(this, (this.ready[0], other, *this.ready[2:]))

    def test_one_key_for_two_sites_is_refused(self, this):
        twin = changed(this.ready[1], key=this.ready[2].key)
        with pytest.raises(BundleError, match="same key"):
            self.mask(this, (this.ready[0], twin, *this.ready[2:]))

    def test_ones_own_message_must_be_ones_own(self, this):
        replayed = ready_message(this.plan, "S0", bytes(range(32)))
        with pytest.raises(BundleError, match="S0 is not this site's own"):
            self.mask(this, (replayed, *this.ready[1:]))
        with pytest.raises(BundleError, match="X is not this site's own"):
            self.mask(this, this.ready, own="X")

    def test_a_plan_without_a_secure_sum_is_not_masked(self):
        this = round_of(plan_of("genotype_counts", secure_sum=False))
        with pytest.raises(BundleError, match="does not ask for a secure sum"):
            self.mask(this, this.ready)

    def test_rows_that_were_withheld_are_not_summed_in_part(self, this):
        shard = aggregate("genotype_counts")
        shown = shard.alleles_shown.copy()
        shown[3, 0] = False
        with pytest.raises(Refused, match="floors belong to the publisher"):
            this.mask("S0", replace(shard, alleles_shown=shown))

    def test_another_statistic_or_shard_is_refused(self, this):
        with pytest.raises(BundleError, match="does not ask for shard 0 of linear_raw"):
            this.mask("S0", aggregate("linear_raw"))
        with pytest.raises(BundleError, match="does not ask for shard 1"):
            this.mask("S0", aggregate("genotype_counts"), number=1)
        with pytest.raises(BundleError, match="has 12 rows, the plan asks 11"):
            round_of(plan_of("linear_mean", rows=11)).mask("S0", aggregate("linear_mean"))

    @pytest.mark.parametrize("statistic", ["variant_list", "group_sizes"])
    def test_names_are_no_sums(self, statistic):
        this = round_of(plan_of(statistic))
        with pytest.raises(Refused, match="not one that goes through a secure sum"):
            this.total({})


class TestMessages:
    """What the coordinator is sent may be anything."""

    @pytest.fixture
    def this(self):
        return round_of(plan_of("linear_mean"))

    @pytest.fixture
    def masked(self, this):
        return this.masked(dict.fromkeys(this.plan.sites, aggregate("linear_mean")))

    def test_a_site_is_missing(self, this, masked):
        del masked["S1"]
        with pytest.raises(BundleError, match="not one of each site"):
            this.total(masked)

    def test_a_message_of_another_round_does_not_cancel(self, this, masked):
        masked["S1"] = round_of(plan_of("linear_mean"), seed=1).mask("S1", aggregate("linear_mean"))
        with pytest.raises(BundleError, match="masks of linear_mean.called do not cancel"):
            this.total(masked)

    @pytest.mark.parametrize(
        "change",
        [
            lambda words: words[:, :-1],
            lambda words: words[0],
            lambda words: words.view(np.int64),
            lambda words: np.concatenate([words, words]),
            lambda words: words[..., None],
        ],
    )
    def test_an_array_of_another_form_is_refused(self, this, masked, change):
        masked["S2"]["gg"] = change(masked["S2"]["gg"])
        with pytest.raises(BundleError, match=r"linear_mean.gg of site S2 is not of the form"):
            this.total(masked)

    def test_a_field_is_missing(self, this, masked):
        del masked["S2"]["gy"]
        with pytest.raises(BundleError, match=r"linear_mean.gy of site S2 is not of the form"):
            this.total(masked)


class TestNames:
    def test_groups_are_named_without_their_sizes(self):
        part = secure_sum.openly(counts.group_sizes(["FIN", "GBR"], np.array([40, 50]), 95))
        assert part.names == ["FIN", "GBR"]
        assert part.people.size == 0
        assert part.people_total == 0

    def test_rows_are_named_without_how_many_are_not(self):
        text = np.frombuffer(b"1\t5\tA\tC\t.\n", np.uint8)
        part = variants.VariantList(
            text=text, rows_listed=1, rows_withheld=7, rows_total=9, build=38
        )
        said = secure_sum.openly(part)
        assert (said.rows_listed, said.rows_withheld, said.rows_total) == (1, 0, 1)
        np.testing.assert_array_equal(said.text, text)

    def test_a_sum_is_never_said_openly(self):
        with pytest.raises(Refused, match="leaves through a secure sum only"):
            secure_sum.openly(aggregate("genotype_counts"))


class TestCommitments:
    plan = plan_of("linear_mean")
    secret = bytes(range(32))

    def committed(self, shard, number=0):
        salt = secure_sum.shard_salt(self.secret, self.plan, number)
        return salt, secure_sum.commit(shard, plan=self.plan, number=number, salt=salt)

    def test_it_opens_to_the_same_numbers_only(self):
        shard = aggregate("linear_mean")
        salt, commitment = self.committed(shard)
        known = {"plan": self.plan, "number": 0, "salt": salt}
        assert secure_sum.opens(commitment, shard, **known)
        gy = shard.gy.copy()
        gy[0, 0] = np.nextafter(gy[0, 0], 9)
        assert not secure_sum.opens(commitment, replace(shard, gy=gy), **known)
        assert not secure_sum.opens(commitment, shard, **known | {"number": 1})
        assert not secure_sum.opens(commitment, shard, **known | {"salt": bytes(32)})
        other = plan_of("linear_mean", study="other")
        assert not secure_sum.opens(commitment, shard, **known | {"plan": other})

    def test_every_shard_has_a_salt_of_its_own_and_keeps_it(self):
        shard = aggregate("linear_mean")
        assert self.committed(shard) == self.committed(shard)
        assert self.committed(shard)[0] != self.committed(shard, 1)[0]
        assert len(self.committed(shard)[0]) == 32


def test_a_ready_message_has_no_room_for_anything_else():
    assert set(Ready.model_fields) == {"format", "plan", "participants", "site", "key", "policy"}

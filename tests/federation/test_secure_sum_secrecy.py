"""What others see of a site under a secure sum: noise, and with all their secrets only the rest.

The colluders' arithmetic is written again here from the protocol's description, so that it does
not lean on the code that it attacks.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from scipy.stats import chi2, ks_2samp, kstest

from genome_eu.federation.secure_sum.ranges import agreed_range
from genome_eu.stats.aggregate import AGGREGATES, declared
from tests.federation.secure_sums import (
    PEOPLE,
    SUMMABLE,
    Round,
    aggregate,
    changed,
    names,
    plan_of,
    ready_message,
    round_of,
)

ROWS = 2000


def constant(statistic: str, value: float, rows: int = ROWS):
    """An aggregate of many rows that are all alike: its masks are all that varies."""
    sizes = {"rows": rows, "groups": 2, "covariates": 2, "traits": 3, "width": 4}
    small = aggregate(statistic, fill=value)
    return replace(
        small,
        **{
            item.name: np.full(
                [sizes[name] for name in item.metadata["dims"]], getattr(small, item.name).flat[0]
            )
            for item in declared(small)
            if "rows" in item.metadata["dims"]
        },
    )


def chances(words: np.ndarray) -> list[float]:
    """For several ways to be uneven: the probability that noise is as uneven as these words."""
    values = np.ascontiguousarray(words).reshape(-1)
    bits = (values[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    # Ones in each of the 64 places, in standard deviations from half of all.
    ones = (2.0 * bits.sum(axis=0) - values.size) / np.sqrt(values.size)
    return [
        _chance(values.view(np.uint8)),
        _chance((values >> np.uint64(56)).astype(int)),
        _chance((np.diff(values) >> np.uint64(56)).astype(int)),
        float(chi2.sf((ones**2).sum(), 64)),
    ]


def _chance(found: np.ndarray) -> float:
    observed = np.bincount(found, minlength=256)
    expected = observed.sum() / observed.size
    return float(chi2.sf(((observed - expected) ** 2 / expected).sum(), observed.size - 1))


def require_noise(arrays: list[np.ndarray]) -> None:
    """No array is more uneven than chance allows the most uneven of so many to be; nor are all.

    Keys are the same in every run, so chance has been drawn once and no run fails by bad luck.
    """
    found = np.array([chances(words) for words in arrays])
    assert found.min() * found.size > 1e-3
    if len(arrays) >= 20:
        assert min(kstest(column, "uniform").pvalue for column in found.T) > 1e-3


def test_the_checks_see_what_is_not_noise():
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 2**64, 4000, np.uint64) for _ in range(30)]
    require_noise(noise)
    for spoiled in (
        np.full(4000, 7, np.uint64),
        noise[0] & ~np.uint64(1 << 63),
        noise[0] >> np.uint64(1),
        np.where(np.arange(4000) % 20 == 0, np.uint64(0), noise[0]),
        np.cumsum(noise[0] >> np.uint64(6), dtype=np.uint64),
    ):
        with pytest.raises(AssertionError):
            require_noise([spoiled, *noise[1:]])


class TestUniformity:
    @pytest.mark.parametrize("statistic", ["genotype_counts", "linear_raw", "pca_projection"])
    @pytest.mark.parametrize("value", [0, 1])
    def test_a_masked_message_is_noise_whatever_it_holds(self, statistic, value):
        this = round_of(plan_of(statistic, names(4), rows=ROWS))
        messages = [this.mask(site, constant(statistic, value)) for site in this.plan.sites]
        # Each word of a long number by itself.
        planes = [plane for message in messages for words in message.values() for plane in words]
        require_noise([plane for plane in planes if plane.size >= ROWS])

    def test_single_numbers_are_noise_from_round_to_round(self):
        """Of an answer without rows: all its words, over many rounds."""
        shard, found = aggregate("trait_moments", fill=1), []
        for number in range(200):
            this = round_of(plan_of("trait_moments", round=number))
            found.append(np.concatenate([w.ravel() for w in this.mask("S0", shard).values()]))
        # All places together, and each over the rounds.
        require_noise([np.array(found), *np.array(found).T])

    def test_contexts_have_nothing_in_common(self):
        """The difference of two messages of the same numbers is noise as well."""
        statistic = "linear_mean"
        shard = constant(statistic, 1.0)
        plan = plan_of(statistic, rows=2 * ROWS, rows_per_shard=ROWS)
        this = round_of(plan)
        later = plan.model_copy(update={"round": plan.round + 1})
        messages = [
            this.mask("S1", shard, number=0),
            this.mask("S1", shard, number=1),
            round_of(plan, seed=1).mask("S1", shard),
            # The same keys in another round, and with another bound.
            Round(
                later,
                this.secrets,
                tuple(ready_message(later, *one) for one in this.secrets.items()),
            ).mask("S1", shard),
            this.mask("S1", shard, people_bound=PEOPLE + 1),
        ]
        differences = [one["gy"] - other["gy"] for one, other in combinations(messages, 2)]
        # Two fields of one message that hold the same.
        differences.append(messages[0]["called"] - messages[0]["allele_count"])
        require_noise(differences)

    @pytest.mark.parametrize("field", ["key", "policy"])
    def test_any_change_of_any_ready_message_changes_every_word(self, field):
        this = round_of(plan_of("linear_mean", names(4)))
        shard = aggregate("linear_mean")
        before = this.mask("S0", shard)
        for place in (1, 2, 3):
            message = this.ready[place]
            if field == "key":
                other = ready_message(this.plan, message.site, bytes(range(32)))
            else:
                floors = message.policy.model_copy(update={"allele_floor": 11})
                other = changed(message, policy=floors)
            ready = (*this.ready[:place], other, *this.ready[place + 1 :])
            after = this.mask("S0", shard, ready=ready)
            for name, words in before.items():
                assert (words != after[name]).all()

    def test_the_order_of_the_messages_does_not_matter(self):
        this = round_of(plan_of("linear_mean", names(4)))
        shard = aggregate("linear_mean")
        before, after = (this.mask("S2", shard, ready=r) for r in (this.ready, this.ready[::-1]))
        assert all((before[name] == after[name]).all() for name in before)


def whole(words: np.ndarray) -> np.ndarray:
    """Values as Python's integers modulo 2^(64·words)."""
    return np.asarray(
        sum(w.astype(object) << (64 * place) for place, w in enumerate(words)), object
    )


def shared_mask(this: Round, knows: str, other: str, field: str, words: np.ndarray) -> np.ndarray:
    """The mask between two sites, by one who knows the secret of `knows`: what `other` added."""

    def digest(*what) -> bytes:
        content = ["genome_eu secure sum 1", *what]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).digest()

    messages = [message.content().decode() for message in this.ready]
    context = digest(this.plan.hash, PEOPLE, messages).hex()
    low, high = sorted((knows, other))
    public = next(message.key for message in this.ready if message.site == other)
    raw = base64.b64decode(public.removeprefix("x25519:"))
    shared = X25519PrivateKey.from_private_bytes(this.secrets[knows]).exchange(
        X25519PublicKey.from_public_bytes(raw)
    )
    info = digest("pair", context, low, high, 0, field)
    key = HKDF(SHA256(), length=32, salt=None, info=info).derive(shared)
    stream = Cipher(ChaCha20(key, bytes(16)), None).encryptor().update(bytes(words.nbytes))
    mask = whole(np.frombuffer(stream, "<u8").reshape(words.shape))
    return mask if other == low else -mask


class TestCollusion:
    """Five sites, three of which pool their secrets with the coordinator."""

    honest, colluding = ("S1", "S3"), ("S0", "S2", "S4")

    def views(self, this: Round, shards, field: str) -> list[np.ndarray]:
        """All that the colluders can compute of the honest sites' field: what is left of their
        messages once every mask that a colluder shares is taken off."""
        views = []
        for site in self.honest:
            words = this.mask(site, shards[site])[field]
            modulus = 2 ** (64 * len(words))
            masks = [shared_mask(this, one, site, field, words) for one in self.colluding]
            views.append(np.asarray((whole(words) - sum(masks)) % modulus, object))
        return views

    def fields(self, statistic: str):
        kind = AGGREGATES[statistic]
        return [
            item
            for item in declared(kind)
            if item.metadata["merge"] == "total" and item.name != "pattern"
        ]

    @pytest.mark.parametrize("statistic", SUMMABLE)
    def test_two_splits_of_one_total_look_the_same(self, statistic):
        this = round_of(plan_of(statistic, names(5)))
        one, other = (aggregate(statistic, seed) for seed in (1, 2))
        splits = [
            dict(zip(self.honest, pair, strict=True)) for pair in ((one, other), (other, one))
        ]
        for item in self.fields(statistic):
            agreed = agreed_range(this.plan, item, PEOPLE)
            modulus = 2 ** (64 * agreed.words)
            steps = np.vectorize(lambda v, f=agreed.fraction: round(Fraction(v) * 2**f), [object])
            first, second = (steps(getattr(part, item.name)) for part in (one, other))
            for split in splits:
                views = self.views(this, split, item.name)
                # Together the views are the honest sites' total: that much they learn.
                assert np.all((views[0] + views[1] - first - second) % modulus == 0)
                # Apart, every split of it explains them: only the honest pair's mask differs, and
                # nobody else knows that one.
                for x, y in ((first, second), (second, first), (first + second, 0 * second)):
                    assert np.all((views[0] - x) % modulus == (y - views[1]) % modulus)

    @pytest.mark.parametrize(
        ("statistic", "field"), [("linear_mean", "gy"), ("linear_mean", "called")]
    )
    def test_the_views_are_noise_of_one_distribution(self, statistic, field):
        plan = plan_of(statistic, names(5), rows=ROWS)
        parts = [constant(statistic, value) for value in (1, 0)]
        drawn = []
        for seed, pair in enumerate((parts, parts[::-1])):
            shards = dict(zip(self.honest, pair, strict=True))
            views = self.views(round_of(plan, seed), shards, field)
            drawn.append([(view % 2**64).astype(np.uint64) for view in views])
            require_noise(drawn[-1])
        for one, other in zip(*drawn, strict=True):
            assert ks_2samp(one.ravel(), other.ravel()).pvalue > 1e-3

    @pytest.mark.parametrize("apart", [(), ("S1",), ("S3",), ("S1", "S3")])
    def test_of_patterns_they_learn_whether_any_honest_site_tells_two_traits_apart(self, apart):
        this = round_of(plan_of("trait_moments", names(5)))
        alike = aggregate("trait_moments")
        other = replace(alike, pattern=np.array([0, 1, 1]))
        shards = {site: other if site in apart else alike for site in self.honest}
        views = self.views(this, shards, "pattern")
        left = ((views[0] + views[1]) % 2**64).tolist()
        assert [value == 0 for value in left] == [not apart, not apart, True]
        assert all(value == 0 or value > 2**32 for value in left)

    def test_with_one_honest_site_nothing_is_hidden(self):
        """Why a secure sum asks for trust in one more site: the attack above is a real one."""
        this = round_of(plan_of("linear_mean", names(5)))
        shard = aggregate("linear_mean", fill=1)
        words = this.mask("S1", shard)["called"]
        others = [shared_mask(this, one, "S1", "called", words) for one in names(5) if one != "S1"]
        assert ((whole(words) - sum(others)) % 2**64 == 1).all()

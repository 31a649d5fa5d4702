"""What was released before limits what may be released now."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import stat
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from genome_eu.disclosure import Policy, differencing, load_policy
from genome_eu.disclosure.budget import (
    BEFORE,
    RANK,
    ROWS,
    TRAITS,
    WITHIN,
    Budget,
    Exposure,
)
from genome_eu.disclosure.differencing import PeopleSets, Roll
from genome_eu.errors import LedgerError, Refused, UsageError
from tests.oracles import differencing as oracle

DEFAULT = load_policy("default")
FLOOR = DEFAULT.differencing_floor
UNLIMITED = dict.fromkeys(("max_rank_per_person", "max_traits_per_person"), "unlimited")


def plan(number: object) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def policy(**keys: object) -> Policy:
    return DEFAULT.model_copy(update=keys)


def described(budget: Budget, *sets: range | list[int], **more) -> Exposure:
    return Exposure(tuple(budget.hashes([f"S{one}" for one in people]) for people in sets), **more)


def verdicts(budget: Budget, exposure: Exposure, number: object = "now") -> dict[str, str]:
    return {item.check: item.verdict for item in budget.judge(plan(number), exposure)}


# -- hashes of people --------------------------------------------------------------------------


def test_hashes_are_keyed_and_last(tmp_path):
    ids = [f"S{number}" for number in range(1000)]
    first = Budget(tmp_path, DEFAULT).hashes(ids)
    np.testing.assert_array_equal(Budget(tmp_path, DEFAULT).hashes(ids), first)
    assert np.unique(first).size == 1000
    assert not np.isin(Budget(None, DEFAULT).hashes(ids), first).any()
    np.testing.assert_array_equal(Budget(tmp_path, DEFAULT).hashes(np.array(ids)), first)


def test_the_state_holds_no_sample_id_and_is_private(tmp_path):
    budget = Budget(tmp_path / "budget", DEFAULT)
    budget.commit(plan(1), described(budget, range(30), traits=("ldl",)))
    for path in [tmp_path / "budget", *(tmp_path / "budget").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 or path.name == "lock", path
        if path.is_file():
            assert b"S12" not in path.read_bytes()


def test_a_lost_or_damaged_key_is_an_error(tmp_path):
    budget = Budget(tmp_path, DEFAULT)
    budget.commit(plan(1), described(budget, range(30)))
    (tmp_path / "salt").write_bytes(b"short")
    with pytest.raises(LedgerError, match=r"salt is damaged; restore"):
        Budget(tmp_path, DEFAULT)
    (tmp_path / "salt").unlink()
    with pytest.raises(LedgerError, match=r"salt is missing, without which nobody can be recog"):
        Budget(tmp_path, DEFAULT)


# -- differencing ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("apart", "verdict"), [(0, "pass"), (1, "refuse"), (4, "refuse"), (5, "pass")]
)
def test_two_traits_of_one_request_may_not_differ_by_a_few_people(apart, verdict):
    budget = Budget(None, DEFAULT)
    found = verdicts(budget, described(budget, range(100), range(apart, 100)))
    assert (found[WITHIN], found[BEFORE]) == (verdict, "pass")


@pytest.mark.parametrize("fewer", [range(99), range(1, 100), [*range(50), *range(51, 100)]])
def test_a_cohort_with_one_person_more_or_less_is_recognized(tmp_path, fewer):
    """Imported anew, so that nothing but the sample ids is the same."""
    budget = Budget(tmp_path, DEFAULT)
    budget.commit(plan(1), described(budget, range(100)))
    again = Budget(tmp_path, DEFAULT)
    assert verdicts(again, described(again, fewer))[BEFORE] == "refuse"
    assert verdicts(again, described(again, range(101)))[BEFORE] == "refuse"
    assert verdicts(again, described(again, range(100)))[BEFORE] == "pass"
    assert verdicts(again, described(again, range(105)))[BEFORE] == "pass"
    assert verdicts(again, described(again, range(95)))[BEFORE] == "pass"


def test_a_swap_of_two_people_is_a_difference_of_four():
    budget = Budget(None, DEFAULT)
    budget.commit(plan(1), described(budget, range(100)))
    assert verdicts(budget, described(budget, range(2, 102)))[BEFORE] == "refuse"
    assert verdicts(budget, described(budget, range(3, 103)))[BEFORE] == "pass"


def test_people_in_no_group_are_a_remainder():
    budget = Budget(None, DEFAULT)
    for hidden, verdict in ((0, "pass"), (1, "refuse"), (4, "refuse"), (5, "pass")):
        groups = described(budget, range(100), range(40), range(40, 100 - hidden))
        assert verdicts(budget, groups)[WITHIN] == verdict


def test_groups_of_an_earlier_answer_are_a_partition_of_its_people():
    """Populations first, then by sex: the person of unknown sex in one of them."""
    budget = Budget(None, DEFAULT)
    budget.commit(plan(1), described(budget, range(200), range(100), range(100, 200)))
    by_sex = [range(50), range(50, 99), range(100, 150), range(150, 191)]
    assert verdicts(budget, described(budget, range(200), *by_sex))[BEFORE] == "refuse"
    by_sex[1] = range(50, 95)
    assert verdicts(budget, described(budget, range(200), *by_sex))[BEFORE] == "pass"


def test_a_total_after_its_groups_is_compared_with_their_sum():
    budget = Budget(None, DEFAULT)
    budget.commit(plan(1), described(budget, range(50), range(50, 99)))
    assert verdicts(budget, described(budget, range(100)))[BEFORE] == "refuse"
    assert verdicts(budget, described(budget, range(99)))[BEFORE] == "pass"


def test_without_a_floor_everything_passes():
    budget = Budget(None, load_policy("open-data"))
    budget.commit(plan(1), described(budget, range(100)))
    found = verdicts(budget, described(budget, range(99), range(98), traits=("a",) * 3))
    assert found == {WITHIN: "pass", BEFORE: "pass"}


def test_a_reviewer_sees_who_would_be_shown_and_from_which_release():
    budget = Budget(None, DEFAULT)
    budget.commit(plan(1), described(budget, range(100)))
    budget.commit(plan(2), described(budget, range(100), traits=("ldl",)))
    ((found, plans),) = budget.differences(described(budget, range(97)))
    assert (found.people, found.earlier) == (3, True)
    assert set(plans) == {plan(1), plan(2)}


def test_evidence_and_reasons_hold_no_value_that_failed():
    budget = Budget(None, DEFAULT)
    budget.commit(plan(1), described(budget, range(100), columns=(b"a",) * 30))
    some = [
        budget.judge(plan(2), described(budget, range(100 - n), range(99 - n))) for n in (1, 2, 3)
    ]
    assert some[0] == some[1] == some[2]
    assert [item.verdict for item in some[0]] == ["refuse", "refuse", "pass", "pass"]


people_sets = st.lists(st.frozensets(st.integers(0, 11), max_size=12), min_size=1, max_size=4)


@given(people_sets, st.lists(people_sets, max_size=4), st.integers(0, 6))
@settings(max_examples=200, deadline=None)
def test_differencing_finds_what_its_definition_finds(now, earlier, floor):
    judged = policy(differencing_floor=floor)
    budget = Budget(None, judged)
    for number, answer in enumerate(earlier):
        exposure = described(budget, *map(sorted, answer))
        request = budget._request(exposure)
        budget._released.add(
            budget._record(plan(number), request),
            request.roll,
            dict(zip(request.digests, request.bits, strict=True)),
        )
    found = verdicts(budget, described(budget, *map(sorted, now)))
    assert (found[WITHIN] == "refuse") == oracle.within(now, floor)
    assert (found[BEFORE] == "refuse") == oracle.before(now, earlier, floor)


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_a_sketch_rules_nothing_out_that_matters(data):
    """Sets near each other or nested, of enough people that their sketches skip words."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    people = 1500
    sets: list[NDArray] = [np.arange(people)]
    for _ in range(8):
        base = sets[data.draw(st.integers(0, len(sets) - 1))]
        base = rng.choice(base, min(base.size, 700), replace=False)
        changed = rng.choice(people, data.draw(st.integers(0, 5)), replace=False)
        sets.append(np.setxor1d(base, changed))
    roll = Roll(rng.permutation(people).astype(np.uint64))
    bits = [roll.bits(np.sort(one).astype(np.uint64)) for one in sets]
    stride = data.draw(st.integers(1, 9))
    kept = PeopleSets.of(bits, stride)
    for one, mine in zip(sets, bits, strict=True):
        for other, shared in zip(sets, kept.common(mine, FLOOR), strict=True):
            truth = np.intersect1d(one, other).size
            matters = truth in (one.size, other.size) or np.setxor1d(one, other).size < FLOOR
            assert shared == truth if matters else shared in (-1, truth)


# -- budgets -----------------------------------------------------------------------------------


def test_columns_add_up_over_releases_until_the_limit():
    budget = Budget(None, policy(max_rank_per_person=0.1))
    for number in range(10):
        exposure = described(budget, range(100), columns=(bytes([number]),))
        assert verdicts(budget, exposure)[RANK] == "pass"
        budget.commit(plan(number), exposure)
    over = described(budget, range(100), columns=(b"one more",))
    assert verdicts(budget, over)[RANK] == "refuse"
    with pytest.raises(Refused, match=r"beyond 0.1 rank per person; ask with .* \(policy default"):
        budget.commit(plan("over"), over)


def test_the_same_columns_cost_nothing_more_whatever_the_plan():
    budget = Budget(None, policy(max_rank_per_person=0.1, max_traits_per_person=0.05))
    exposure = described(
        budget, range(100), columns=tuple(bytes([n]) for n in range(10)), traits=tuple("abcde")
    )
    for number in range(5):
        assert set(verdicts(budget, exposure, number).values()) == {"pass"}
        budget.commit(plan(number), exposure)
    assert budget.spent(exposure)[RANK].after == pytest.approx(0.1)
    assert budget.spent(exposure)[TRAITS].after == pytest.approx(0.05)


def test_the_same_plan_passes_again_under_a_stricter_policy(tmp_path):
    """What left is sent again after a crash; nothing new is learned from it."""
    budget = Budget(tmp_path, load_policy("open-data"))
    exposure = described(budget, range(100), range(99), columns=(b"a", b"b"), traits=("ldl",))
    budget.commit(plan(1), exposure)
    strict = Budget(tmp_path, policy(max_rank_per_person=0.001))
    assert set(verdicts(strict, exposure, 1).values()) == {"pass"}
    strict.commit(plan(1), exposure)
    assert verdicts(strict, exposure, 2)[WITHIN] == "refuse"
    assert verdicts(strict, exposure, 2)[RANK] == "pass"  # the columns are known
    assert strict.plans == {plan(1)}


def test_the_same_plan_on_other_people_is_judged_anew():
    budget = Budget(None, DEFAULT)
    budget.commit(plan(1), described(budget, range(100)))
    assert verdicts(budget, described(budget, range(99)), 1)[BEFORE] == "refuse"


def test_sets_that_are_shifted_a_little_do_not_escape():
    """Forty columns on each of several cohorts that share nearly all of their people."""
    budget = Budget(None, policy(max_rank_per_person=0.5))
    budget.commit(
        plan(1), described(budget, range(100), columns=tuple(b"%d" % n for n in range(40)))
    )
    shifted = described(budget, range(6, 106), columns=tuple(b"%d" % n for n in range(40)))
    assert verdicts(budget, shifted)[RANK] == "refuse"
    others = described(budget, range(100, 200), columns=tuple(b"%d" % n for n in range(40)))
    assert verdicts(budget, others)[RANK] == "pass"


def test_columns_on_many_people_leave_room_for_few():
    budget = Budget(None, policy(max_rank_per_person=0.3))
    budget.commit(
        plan(1), described(budget, range(1000), columns=tuple(b"%d" % n for n in range(100)))
    )
    small = described(budget, range(50), columns=tuple(b"s%d" % n for n in range(10)))
    assert budget.spent(small)[RANK].after == pytest.approx(100 / 1000 + 10 / 50)
    assert verdicts(budget, small)[RANK] == "pass"


def test_a_column_counts_on_its_own_people_or_on_the_fewest():
    budget = Budget(None, DEFAULT)
    columns = tuple(b"%d" % n for n in range(9))
    mixed = described(budget, range(90), range(10), columns=columns)
    assert verdicts(budget, mixed)[RANK] == "refuse"
    owned = described(budget, range(90), range(10), columns=columns, column_people=(0,) * 9)
    assert verdicts(budget, owned)[RANK] == "pass"


def test_traits_are_counted_like_columns():
    budget = Budget(None, policy(max_traits_per_person=0.16))
    traits = tuple(f"t{n}" for n in range(17))
    assert verdicts(budget, described(budget, range(100), traits=traits[:16]))[TRAITS] == "pass"
    assert verdicts(budget, described(budget, range(100), traits=traits))[TRAITS] == "refuse"
    budget.commit(plan(1), described(budget, range(100), traits=traits[:16]))
    assert verdicts(budget, described(budget, range(100), traits=traits[8:16]))[TRAITS] == "pass"
    assert verdicts(budget, described(budget, range(100), traits=traits[16:]))[TRAITS] == "refuse"


@given(
    st.lists(
        st.tuples(
            st.sets(st.integers(0, 9), min_size=1),
            st.sets(st.sampled_from("abc"), min_size=1),
            st.integers(0, 3),
        ),
        max_size=8,
    )
)
@settings(max_examples=60, deadline=None)
def test_rows_shown_of_a_person_are_the_distinct_ones_of_every_set(requests):
    """By definition: rows over people, for each distinct set, panel and column."""
    budget = Budget(None, policy(**UNLIMITED, differencing_floor=0, membership_power=1.0))
    shown: set[tuple[frozenset[int], int, str]] = set()
    for number, (people, columns, panel) in enumerate(requests):
        more = {"columns": tuple(one.encode() for one in columns), "rows": 5 + panel}
        exposure = described(budget, sorted(people), panel=str(panel), **more)
        shown |= {(frozenset(people), panel, one) for one in columns}
        costs = [
            sum((5 + rows) / len(group) for group, rows, _ in shown if one in group)
            for one in people
        ]
        assert budget.spent(exposure)[ROWS].after == pytest.approx(max(costs))
        budget.commit(plan(number), exposure)
        assert budget.spent(exposure)[ROWS].before == pytest.approx(max(costs))


@given(
    st.lists(
        st.tuples(st.sets(st.integers(0, 9), min_size=1), st.sets(st.sampled_from("abcdefgh"))),
        max_size=8,
    ),
    st.sampled_from([0.2, 0.5, 1.0]),
)
@settings(max_examples=60, deadline=None)
def test_no_group_of_people_ever_has_more_columns_than_the_limit(requests, share):
    """The promise of the budget, on every subset of people."""
    budget = Budget(None, policy(max_rank_per_person=share, differencing_floor=0))
    let_out: set[tuple[frozenset[int], str]] = set()
    for number, (people, columns) in enumerate(requests):
        exposure = described(
            budget, sorted(people), columns=tuple(one.encode() for one in sorted(columns))
        )
        if verdicts(budget, exposure)[RANK] == "pass":
            budget.commit(plan(number), exposure)
            let_out |= {(frozenset(people), column) for column in columns}
    for subset in range(1, 2**10):
        group = {person for person in range(10) if subset >> person & 1}
        rank = sum(1 for people, _ in let_out if people <= group)
        assert rank <= share * len(group) * (1 + 1e-6)


def test_digests_of_columns_do_not_depend_on_order_origin_or_scale():
    rng = np.random.default_rng(1)
    budget = Budget(None, DEFAULT)
    people = budget.hashes(range(50))
    values = rng.normal(170, 10, (50, 3))
    first = budget.columns(people, values)
    assert len(set(first)) == 3
    order = rng.permutation(50)
    assert budget.columns(people[order], values[order]) == first
    assert budget.columns(people, (values - 171.5) / -9.25) == first
    assert budget.columns(people, np.ones(50)) == budget.columns(people, np.full(50, 7.0))
    assert budget.columns(people, np.ones(50)) != first[:1]
    assert len(budget.columns(people[:0], values[:0])) == 3
    half = np.repeat([0.0, 1.0], 25)
    assert budget.columns(people, half) == budget.columns(people, 1 / 3 - 0.1 * half)
    changed = values.copy()
    changed[7, 0] += 0.1
    assert budget.columns(people, changed)[0] != first[0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"columns": (b"a",), "column_people": (0, 0)},
        {"columns": (b"a",), "column_people": (1,)},
        {"traits": ("a", "b"), "trait_people": (0,)},
    ],
)
def test_an_exposure_that_contradicts_itself_is_refused(wrong):
    with pytest.raises(UsageError, match="an exposure "):
        Exposure((np.arange(3, dtype=np.uint64),), **wrong)
    with pytest.raises(UsageError, match="columns and no people"):
        Exposure((), columns=(b"a",))


# -- what is kept ------------------------------------------------------------------------------


def test_memory_and_folder_judge_alike_after_restarts(tmp_path):
    rng = np.random.default_rng(2)
    rules = policy(max_traits_per_person=0.16)
    memory = Budget(None, rules)
    for number in range(25):
        people = sorted(rng.choice(60, rng.integers(0, 60), replace=False))
        columns = tuple(b"%d" % one for one in rng.integers(0, 9, 2))
        disk = Budget(tmp_path, rules)
        found = []
        for budget in (memory, disk):
            more = {"columns": columns, "traits": ("t",), "rows": 2, "panel": str(number % 3)}
            exposure = described(budget, people, people[:20], **more)
            found.append(budget.judge(plan(number), exposure))
            if all(item.verdict == "pass" for item in found[-1]):
                budget.commit(plan(number), exposure)
        assert found[0] == found[1]
    assert memory.plans == Budget(tmp_path, rules).plans
    assert 1 < len(memory.plans) < 25


def test_a_release_between_judging_and_committing_counts(tmp_path):
    """Two cohorts, or a release that waited for a person while another one left."""
    one, other = Budget(tmp_path, DEFAULT), Budget(tmp_path, DEFAULT)
    held = described(one, range(99))
    assert set(verdicts(one, held).values()) == {"pass"}
    other.commit(plan(2), described(other, range(100)))
    with pytest.raises(Refused, match="differ from those of an earlier answer by so few"):
        one.commit(plan(1), held)
    assert one.plans == {plan(2)}


def _commit_for_ever(folder: Path) -> None:
    budget = Budget(folder, DEFAULT)
    for number in range(10_000):
        start = 10 * (number % 50)
        budget.commit(plan(number), described(budget, range(start, start + 100)))


@pytest.mark.slow
def test_a_killed_process_leaves_whole_releases_only(tmp_path):
    # Forked from a process without threads, which has imported what it needs.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    counted = 0
    for delay in (0.0, 0.003, 0.011, 0.02, 0.037):
        worker = context.Process(target=_commit_for_ever, args=(tmp_path,))
        worker.start()
        while len(list((tmp_path / "releases").glob("*.json"))) <= counted:
            time.sleep(0.001)
        time.sleep(delay)
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
        budget = Budget(tmp_path, DEFAULT)
        assert len(budget.plans) >= counted
        counted = len(budget.plans)
        for number in range(counted):
            start = 10 * (number % 50)
            exposure = described(budget, range(start, start + 100))
            assert verdicts(budget, exposure, number)[BEFORE] == "pass"
    assert counted > 0
    budget.commit(plan("last"), described(budget, range(500)))


@pytest.mark.parametrize("name", ["people.npy", "sets/*.npy", "releases/*.json"])
def test_damaged_state_is_an_error_and_names_the_file(tmp_path, name):
    budget = Budget(tmp_path, DEFAULT)
    budget.commit(plan(1), described(budget, range(100)))
    (path,) = tmp_path.glob(name)
    content = path.read_bytes()
    for wrong in (b"", content[: len(content) // 2]):
        path.write_bytes(wrong)
        with pytest.raises(LedgerError, match=rf"{path.name} is damaged; restore it from a backup"):
            Budget(tmp_path, DEFAULT)
    path.unlink()
    if name != "releases/*.json":
        with pytest.raises(LedgerError, match="is damaged"):
            Budget(tmp_path, DEFAULT)


def test_a_set_that_was_kept_before_a_crash_is_used_again(tmp_path, monkeypatch):
    budget = Budget(tmp_path, DEFAULT)
    exposure = described(budget, range(100))
    with monkeypatch.context() as patched:
        patched.setattr(
            "genome_eu.disclosure.released.Record.content", property(lambda self: 1 / 0)
        )
        with pytest.raises(ZeroDivisionError):
            budget.commit(plan(1), exposure)
    assert Budget(tmp_path, DEFAULT).plans == frozenset()
    later = Budget(tmp_path, DEFAULT)
    later.commit(plan(2), described(later, range(200, 300)))
    later.commit(plan(1), described(later, range(100)))
    assert verdicts(later, described(later, range(99)))[BEFORE] == "refuse"


@pytest.mark.parametrize("kept", [0, 2**28])
def test_hundreds_of_groups_against_many_releases(monkeypatch, kept):
    """Sketches rule out what is not near; the few others are compared whole, from disk or memory."""
    monkeypatch.setattr(differencing, "_KEPT_BYTES", kept)
    rng = np.random.default_rng(3)
    people = 20_000
    hashes = np.unique(rng.integers(0, 2**62, people)).astype(np.uint64)
    bits = Roll(hashes).bits
    earlier = [bits(hashes[rng.random(hashes.size) < 0.9]) for _ in range(300)]
    earlier.append(bits(hashes))
    loads: list[int] = []

    def load(number: int) -> NDArray[np.uint64]:
        loads.append(number)
        return earlier[number]

    sets = PeopleSets(load, PeopleSets.stride_for(people))
    for one in earlier:
        sets.add(one)
    none = differencing.incidence([], len(sets))
    now = [bits(hashes[rng.random(hashes.size) < 0.9]) for _ in range(100)]
    assert list(differencing.differences(now, (), sets, none, FLOOR)) == []
    assert loads == ([] if kept else [300] * 100)  # all lie inside the whole cohort
    now.append(bits(np.delete(hashes, [5, 17_000])))
    (found,) = differencing.differences(now, (), sets, none, FLOOR)
    assert (found.now, found.other, found.earlier, found.people) == (100, 300, True, 2)

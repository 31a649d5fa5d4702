"""What a site may still release of its people, given everything that it has released before.

Five things add up over releases that each pass alone: sets of people that differ by a few
(`differencing`), columns that genotypes are multiplied by, by their number and by what they can be
combined to (`span`), traits that associations are released of, and rows that are shown
(`membership`). They are judged together, before an answer leaves; what
leaves is committed.

Order of a release: `judge`; then `commit`, which judges again under a lock; then the ledger's
`release`; then the carrier. After a crash between any two of these the budget is ahead of what left
and never behind it, and the same plan again costs nothing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure import keyed
from genome_eu.disclosure.checks import Evidence
from genome_eu.disclosure.differencing import (
    Difference,
    PeopleSets,
    Roll,
    differences,
    flags,
    parts,
)
from genome_eu.disclosure.membership import membership_evidence, rows_per_person
from genome_eu.disclosure.policy import Policy, limit
from genome_eu.disclosure.released import ROWS, Record, Released
from genome_eu.errors import Refused, UsageError

WITHIN = "people apart within the answer"
BEFORE = "people apart from earlier releases"
RANK = "rank per person"
TRAITS = "traits per person"
SPAN = "leverage over all releases"

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Exposure:
    """What a release says of whom. Made by the site, private to it, never released.

    Parameters
    ----------
    people : tuple of uint64 arrays
        `Budget.hashes` of each set of people described: everybody, each group or trait pattern.
        Those that remain described after the floors on people.
    columns : tuple of bytes
        `Budget.columns` of what genotypes are multiplied by.
    traits : tuple of str
        Traits that associations are shown of.
    rows : int
        Rows shown of each column: products with genotypes.
    panel : str
        Digest of what the rows are. The same column shown again of the same rows tells nothing
        new; of other rows it does.
    column_people, trait_people : tuple of int
        The set that each column and trait belongs to. Without them, each counts on the smallest.
    values : tuple of float64 arrays, shape (people, columns)
        Of the first sets, the columns whose numbers the site knows, in the order of `people`.
    """

    people: tuple[NDArray[np.uint64], ...]
    columns: tuple[bytes, ...] = ()
    traits: tuple[str, ...] = ()
    rows: int = 0
    panel: str = ""
    column_people: tuple[int, ...] = ()
    trait_people: tuple[int, ...] = ()
    values: tuple[NDArray, ...] = ()

    def __post_init__(self) -> None:
        for items, owners in (
            (self.columns, self.column_people),
            (self.traits, self.trait_people),
        ):
            if owners and len(owners) != len(items):
                raise UsageError("an exposure has another number of owners than of columns")
            if any(not 0 <= owner < len(self.people) for owner in owners):
                raise UsageError("an exposure names a set of people that it does not have")
            if items and not self.people:
                raise UsageError("an exposure has columns and no people")
        if len(self.values) > len(self.people) or any(
            len(values) != people.size
            for values, people in zip(self.values, self.people, strict=False)
        ):
            raise UsageError("an exposure has columns of other people than it describes")


@dataclass(frozen=True)
class Spent:
    """The most that any person of a request has been used for, before it and with it."""

    before: float
    after: float
    limit: float


@dataclass(frozen=True)
class _Request:
    """An exposure by distinct sets that are not empty."""

    digests: tuple[str, ...]
    roll: Roll
    bits: tuple[NDArray[np.uint64], ...]
    parts: tuple[int, ...]
    rows: int
    columns: NDArray[np.float64]  # over the people of the roll
    spent: dict[str, list[list[str]]] = field(default_factory=dict)

    @property
    def sizes(self) -> list[int]:
        return [int(np.bitwise_count(one).sum()) for one in self.bits]


class Budget:
    """What was released before, and whether a request may be added to it.

    Parameters
    ----------
    folder : path or None
        In the site's private state; made with mode 700. None keeps everything in memory, for a
        notebook or a test.
    policy : Policy
        The site's own.
    """

    def __init__(self, folder: str | Path | None, policy: Policy) -> None:
        self.policy = policy
        self._released = Released(None if folder is None else Path(folder))

    @property
    def plans(self) -> frozenset[str]:
        """Hashes of the plans that were committed: every `release` of the ledger is among them."""
        self._released.refresh()
        return frozenset(record.plan for record in self._released.records.values())

    def hashes(self, sample_id: Iterable[object]) -> NDArray[np.uint64]:
        """A keyed hash of each sample id, in their order; the same person has the same one."""
        return keyed.people(self._released.salt, sample_id)

    def columns(self, people: NDArray[np.uint64], values: NDArray) -> tuple[bytes, ...]:
        """A digest of each column of numbers on these people.

        It does not change with the order of the people, nor when a column is shifted or scaled:
        products with such columns, and with the intercept, say the same.

        Parameters
        ----------
        people : uint64 array, shape (people,)
            As `hashes` gives them.
        values : float64 array, shape (people,) or (people, columns)
            No missing values.
        """
        return keyed.columns(self._released.salt, people, values)

    def judge(self, plan: str, exposure: Exposure) -> list[Evidence]:
        """Whether a request may leave, given all that has; nothing is changed.

        Parameters
        ----------
        plan : str
            Hash of the plan. One that was committed, with the same exposure, passes again.
        exposure : Exposure
            Whom the answer describes, and how.

        Returns
        -------
        list of Evidence
            Each `pass` or `refuse`, none with a value that failed, and of membership `pass` or
            `review`. An unlimited budget has none.
        """
        self._released.refresh()
        request = self._request(exposure)
        return self._judged(
            request, free=self._record(plan, request).name in self._released.records
        )

    def combined(self, plan: str, exposure: Exposure) -> list[Evidence]:
        """Whether columns of earlier releases and of a request set anybody apart together.

        As `judge`, and after the request has been judged by itself: it may take many products.
        """
        self._released.refresh()
        request = self._request(exposure)
        free = self._record(plan, request).name in self._released.records
        return self._spanned(request, free=free)

    def commit(self, plan: str, exposure: Exposure) -> None:
        """Count a release; it is on the disk when this returns. Before the ledger's `release`.

        The same plan and exposure again change nothing.

        Raises
        ------
        Refused
            What was released since `judge` no longer lets it pass.
        """
        with self._released.locked():
            self._released.refresh()
            request = self._request(exposure)
            record = self._record(plan, request)
            free = record.name in self._released.records
            judged = self._judged(request, free=free) + self._spanned(request, free=free)
            for item in judged:
                if item.verdict == "refuse":
                    raise Refused(f"{item.reason} (policy {self.policy.name})")
            directions, _ = self._released.span.beside(request.columns)
            bits = dict(zip(request.digests, request.bits, strict=True))
            self._released.add(record, request.roll, bits, directions)

    # -- for the person who reviews a release ------------------------------------------------

    def differences(self, exposure: Exposure) -> list[tuple[Difference, tuple[str, ...]]]:
        """Whom subtraction would show, each with the plans of the earlier release it takes.

        Never released: it counts people below the floor.
        """
        self._released.refresh()
        found = self._differences(self._request(exposure))
        return [(one, self._released.plans(one.other) if one.earlier else ()) for one in found]

    def spent(self, exposure: Exposure) -> dict[str, Spent]:
        """How much of each budget the people of a request have used, before it and with it."""
        self._released.refresh()
        request = self._request(exposure)
        return {kind: self._spent(kind, request)[0] for kind in (RANK, TRAITS, ROWS)}

    # -- how it is judged --------------------------------------------------------------------

    def _judged(self, request: _Request, *, free: bool) -> list[Evidence]:
        floor = self.policy.differencing_floor
        found = [] if free else self._differences(request)
        sets = len(request.bits)
        evidence = [
            _evidence(
                WITHIN,
                floor,
                sets,
                refused=any(not one.earlier for one in found),
                reason="groups or traits of the answer differ by so few people that subtracting "
                "one from the other would show them; ask on the people that they have in common, "
                "or by fewer groups",
            ),
            _evidence(
                BEFORE,
                floor,
                sets,
                refused=any(one.earlier for one in found),
                reason="its people differ from those of an earlier answer by so few that "
                "subtracting one from the other would show them; ask on the same people as before",
            ),
        ]
        for kind, advice in (
            (RANK, "ask with columns that were used before, or fewer components"),
            (TRAITS, "ask of traits that were released before"),
        ):
            spent, asks_more = self._spent(kind, request)
            if np.isinf(spent.limit):
                continue
            over = asks_more and not free and spent.after > spent.limit * (1 + _ROUNDING)
            evidence.append(
                _evidence(
                    kind,
                    spent.limit,
                    sum(len(items) for items in request.spent[kind]),
                    refused=over,
                    reason=f"together with what was released before it would go beyond "
                    f"{spent.limit:g} {kind}; {advice}",
                )
            )
        return evidence + self._membership(request)

    def _spanned(self, request: _Request, *, free: bool) -> list[Evidence]:
        """As `combined`.

        Of one model alone `max_leverage` is asked; here, half-way from there to 1, where a
        combination is nobody's but one person's.
        """
        bound = (1.0 + self.policy.max_leverage) / 2.0
        if not len(request.columns):
            return []
        leverage = 0.0 if free else self._released.span.beside(request.columns)[1]
        return [
            _evidence(
                SPAN,
                bound,
                len(request.columns),
                refused=leverage > bound + _ROUNDING,
                reason=f"its columns and those of earlier answers together give one person a "
                f"leverage of more than {bound:g}, so that combining the answers would show them; "
                f"ask with columns that were used before",
            )
        ]

    def _membership(self, request: _Request) -> list[Evidence]:
        """What all rows shown so far and now tell of membership, as rows of the smallest set.

        Rows of a set of people tell of each of them in proportion to rows/people, and this adds up
        over releases, whichever sets of people somebody was among.
        """
        if not any(request.spent[ROWS]):
            return []
        shown, asks_more = self._spent(ROWS, request)
        sizes = zip(request.sizes, request.spent[ROWS], strict=True)
        fewest = min(size for size, items in sizes if items)
        rows = math.ceil(shown.after * fewest - _ROUNDING)
        found = membership_evidence(rows, fewest, self.policy)
        return [found if asks_more else replace(found, verdict="pass", reason="")]

    def _differences(self, request: _Request) -> list[Difference]:
        earlier, families = self._released.people, self._released.families
        floor = self.policy.differencing_floor
        return list(differences(request.bits, request.parts, earlier, families, floor))

    def _spent(self, kind: str, request: _Request) -> tuple[Spent, bool]:
        """What is spent of a budget, and whether the request asks for anything new."""
        before = self._released.spent(kind, 64 * -(-request.roll.hashes.size // 64))
        after = before.copy()
        everybody = np.zeros(before.size, bool)
        asking = np.zeros(before.size, bool)
        for digest, bits, items in zip(
            request.digests, request.bits, request.spent[kind], strict=True
        ):
            chosen = flags(bits)
            everybody |= chosen
            new = set(items) - self._released.paid(kind, digest)
            if new:
                each = request.rows if kind == ROWS else 1
                after[chosen] += each * len(new) / chosen.sum()
                asking |= chosen
        bound = {
            RANK: limit(self.policy.max_rank_per_person),
            TRAITS: limit(self.policy.max_traits_per_person),
            ROWS: rows_per_person(self.policy.membership_alpha, self.policy.membership_power),
        }[kind]
        # People of sets of which nothing new is asked may be beyond a limit that was lowered.
        after = np.where(asking | ~asking.any(), after, 0.0)
        return (
            Spent(
                float(before[everybody].max(initial=0.0)),
                float(after[everybody].max(initial=0.0)),
                bound,
            ),
            bool(asking.any()),
        )

    def _request(self, exposure: Exposure) -> _Request:
        sets = [_distinct(people) for people in exposure.people]
        digests = [hashlib.blake2b(one.tobytes(), digest_size=16).hexdigest() for one in sets]
        distinct = {digest: one for digest, one in zip(digests, sets, strict=True) if one.size}
        roll = self._released.roll.with_people(list(distinct.values()))
        bits = tuple(roll.bits(one) for one in distinct.values())
        place = {digest: number for number, digest in enumerate(distinct)}
        owner = [place.get(digest) for digest in digests]
        smallest = int(np.argmin([one.size for one in distinct.values()])) if distinct else None

        def by_set(items: Sequence[str], owners: Sequence[int]) -> list[list[str]]:
            listed: list[list[str]] = [[] for _ in bits]
            for number, item in enumerate(items):
                where = owner[owners[number]] if owners else smallest
                # Nobody is in an empty set, so nothing is said of anybody.
                if where is not None and item not in listed[where]:
                    listed[where].append(item)
            return listed

        shown = [_row_sums(exposure.panel, one) for one in exposure.columns if exposure.rows]
        return _Request(
            tuple(distinct),
            roll,
            bits,
            parts(bits, PeopleSets.stride_for(roll.hashes.size)),
            exposure.rows,
            self._columns_of(exposure, roll),
            {
                RANK: by_set([one.hex() for one in exposure.columns], exposure.column_people),
                TRAITS: by_set(exposure.traits, exposure.trait_people),
                ROWS: by_set(shown, exposure.column_people),
            },
        )

    def _columns_of(self, exposure: Exposure, roll: Roll) -> NDArray[np.float64]:
        """The columns of an exposure over all people of the roll, (columns, people)."""
        if self.policy.max_leverage >= 1.0 or math.isinf(limit(self.policy.max_rank_per_person)):
            return np.empty((0, roll.hashes.size))
        found = [np.empty((0, roll.hashes.size))]
        for values, people in zip(exposure.values, exposure.people, strict=False):
            wide = np.zeros((values.shape[1], roll.hashes.size))
            wide[:, roll.places(people)] = values.T
            found.append(wide)
        return np.vstack(found)

    def _record(self, plan: str, request: _Request) -> Record:
        return Record(
            plan=plan,
            sets=request.digests,
            sizes=tuple(request.sizes),
            parts=request.parts,
            rows=request.rows,
            spent={
                kind: tuple(tuple(sorted(some)) for some in items)
                for kind, items in request.spent.items()
            },
        )


def _row_sums(panel: str, column: bytes) -> str:
    """The name of the products of one column with these rows."""
    return hashlib.blake2b(panel.encode() + column, digest_size=8).hexdigest()


def _distinct(people: NDArray[np.uint64]) -> NDArray[np.uint64]:
    people = np.asarray(people, "<u8")
    return people if np.all(people[1:] > people[:-1]) else np.unique(people)


def _evidence(check: str, bound: float, of: int, *, refused: bool, reason: str) -> Evidence:
    if refused:
        return Evidence(check, bound, 0, of, "refuse", reason)
    return Evidence(check, bound, 0, of)

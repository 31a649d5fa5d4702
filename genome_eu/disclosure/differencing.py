"""Sets of people as bits, and which of them differ by so few that subtracting one shows the others.

Sums over two sets of people can be subtracted, and so can the sums over the groups of one answer
from the sum over a set that holds them:

- two sets that are not the same people but differ by fewer than a floor, in either direction;
- a set without those groups of one answer that lie inside it, where the groups do not overlap and
  fewer people than a floor remain.

Combinations of three or more answers are not searched. What they can give is bounded by the budget
of rank, which counts every column that genotypes are multiplied by (`disclosure.budget`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

#: Words of a set that are compared with every other set before all of its words are.
_SKETCH_WORDS = 128
#: Memory for whole sets; those beyond it are read when a sketch cannot tell.
_KEPT_BYTES = 2**28


class Roll:
    """People by the hash of their sample id; a person's place never changes.

    Parameters
    ----------
    hashes : uint64 array, shape (people,)
        Each once, in the order in which the site first spoke of them.
    """

    def __init__(self, hashes: NDArray[np.uint64]) -> None:
        self.hashes = hashes
        self._order = np.argsort(hashes, kind="stable")
        self._sorted = hashes[self._order]

    def with_people(self, sets: Sequence[NDArray[np.uint64]]) -> Roll:
        """This roll, longer by the people of these sets whom it does not have."""
        new = [people[~self._known(people)] for people in sets]
        if not any(people.size for people in new):
            return self
        return Roll(np.concatenate([self.hashes, np.unique(np.concatenate(new))]))

    def bits(self, people: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """A set of people of this roll, one bit a place, in words of 64."""
        flags = np.zeros(-(-self.hashes.size // 64) * 64, bool)
        flags[self.places(people)] = True
        return np.packbits(flags, bitorder="little").view("<u8")

    def places(self, people: NDArray[np.uint64]) -> NDArray[np.intp]:
        """The places of people of this roll."""
        return self._order[np.searchsorted(self._sorted, people)]

    def _known(self, people: NDArray[np.uint64]) -> NDArray[np.bool_]:
        if not self._sorted.size:
            return np.zeros(people.size, bool)
        place = np.minimum(np.searchsorted(self._sorted, people), self._sorted.size - 1)
        return self._sorted[place] == people


def flags(bits: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """One bool a place."""
    return np.unpackbits(bits.view(np.uint8), bitorder="little").astype(bool)


class PeopleSets:
    """Distinct sets of people, in the order in which they were added.

    Parameters
    ----------
    load : callable
        Gives the bits of a set by its number, for those that memory has no room for.
    stride : int
        Every how many words of a set its sketch keeps one.
    """

    def __init__(self, load: Callable[[int], NDArray[np.uint64]], stride: int) -> None:
        self._load = load
        self.stride = stride
        self._sizes: list[int] = []
        self._sketches = _Table()
        self._whole = _Table()

    @classmethod
    def of(cls, bits: Sequence[NDArray[np.uint64]], stride: int) -> PeopleSets:
        """These sets, kept by the caller."""
        made = cls(bits.__getitem__, stride)
        for one in bits:
            made.add(one)
        return made

    @staticmethod
    def stride_for(people: int) -> int:
        """The stride at which a sketch of so many people stays short."""
        return max(1, -(-people // (64 * _SKETCH_WORDS)))

    def __len__(self) -> int:
        return len(self._sizes)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """People in each set."""
        return np.array(self._sizes, np.int64)

    def add(self, bits: NDArray[np.uint64]) -> None:
        """Add one set."""
        self._sizes.append(int(np.bitwise_count(bits).sum()))
        self._sketches.add(bits[:: self.stride])
        if len(self) * bits.nbytes <= _KEPT_BYTES:
            self._whole.add(bits)

    def common(self, bits: NDArray[np.uint64], floor: int) -> NDArray[np.int64]:
        """People whom each set shares with one; −1 where that cannot matter.

        It matters where one of the two lies inside the other, or where they differ by fewer people
        than the floor. The sketches alone rule most pairs out.
        """
        if not len(self):
            return np.empty(0, np.int64)
        sketch = bits[:: self.stride]
        shared = self._sketches.shared(sketch)
        own, others = _counted(sketch), self._sketches.counted
        matters = (shared == own) | (shared == others) | (own + others - 2 * shared < floor)
        result = np.where(matters, shared, -1)
        if self.stride > 1:
            asked = np.flatnonzero(matters)
            kept = asked[asked < len(self._whole)]
            result[kept] = self._whole.shared(bits, kept)
            for number in asked[kept.size :]:
                other = self._load(int(number))
                width = min(bits.size, other.size)
                result[number] = _counted(bits[:width] & other[:width])
        return result


class _Table:
    """Bits of several sets, one row each; a row ends in zeros where its set ended earlier."""

    def __init__(self) -> None:
        self._rows: list[NDArray[np.uint64]] = []
        self._words = np.empty((0, 0), np.uint64)
        self._counted = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: NDArray[np.uint64]) -> None:
        self._rows.append(row)

    @property
    def words(self) -> NDArray[np.uint64]:
        """All rows, (sets, words)."""
        if len(self._words) < len(self):
            self._words = np.zeros((len(self), max(row.size for row in self._rows)), np.uint64)
            for target, row in zip(self._words, self._rows, strict=True):
                target[: row.size] = row
            self._rows = list(self._words)
            self._counted = _counted(self._words)
        return self._words

    @property
    def counted(self) -> NDArray[np.int64]:
        """People in each row."""
        return self._counted if len(self._words) == len(self) else _counted(self.words)

    def shared(
        self, bits: NDArray[np.uint64], numbers: NDArray[np.intp] | None = None
    ) -> NDArray[np.int64]:
        """People whom each row, or each of these rows, shares with a set."""
        if not len(self):
            return np.empty(0, np.int64)
        table = self.words
        width = min(bits.size, table.shape[1])
        # Only words with anybody in them can share someone; a small group has few.
        filled = np.flatnonzero(bits[:width])
        if numbers is not None:
            return _counted(table[np.ix_(numbers, filled)] & bits[filled])
        if 2 * filled.size < width:
            return _counted(table[:, filled] & bits[filled])
        return _counted(table[:, :width] & bits[:width])


def _counted(bits: NDArray[np.uint64]) -> NDArray[np.int64]:
    """People in each row of bits."""
    return np.bitwise_count(bits).sum(axis=-1, dtype=np.int64)


@dataclass(frozen=True)
class Difference:
    """Sums over `people` people can be had by subtraction.

    Parameters
    ----------
    now : int
        A set of the request.
    other : int
        The set it is compared with: of the request, or of what was released before.
    earlier : bool
        Which of the two.
    people : int
        Who are set apart; fewer than the floor.
    """

    now: int
    other: int
    earlier: bool
    people: int


def parts(bits: Sequence[NDArray[np.uint64]], stride: int = 1) -> tuple[int, ...]:
    """The smallest sets of one answer, if they do not overlap: those that sums can be made of."""
    sets = PeopleSets.of(bits, stride)
    sizes = sets.sizes
    holds_another = np.zeros(len(bits), bool)
    for one, size in zip(bits, sizes, strict=True):
        holds_another |= (sets.common(one, 0) == size) & (sizes > size)
    smallest = np.flatnonzero(~holds_another)
    everybody = np.zeros(max((one.size for one in bits), default=0), np.uint64)
    for number in smallest:
        everybody[: bits[number].size] |= bits[number]
    if int(np.bitwise_count(everybody).sum()) < sizes[smallest].sum():
        return ()
    return tuple(int(number) for number in smallest)


def incidence(families: Sequence[Sequence[int]], sets: int) -> csr_array:
    """Which sets make up which family, (sets, families), as 0 and 1."""
    member = np.concatenate([np.empty(0, int), *(np.array(one, int) for one in families)])
    family = np.repeat(np.arange(len(families)), [len(one) for one in families])
    ones = np.ones(member.size, np.int64)
    return csr_array((ones, (member, family)), shape=(sets, len(families)))


def differences(
    bits: Sequence[NDArray[np.uint64]],
    summed: Sequence[int],
    earlier: PeopleSets,
    families: csr_array,
    floor: int,
) -> Iterator[Difference]:
    """Every way in which one request sets fewer people apart than the floor.

    Parameters
    ----------
    bits : sequence of uint64 arrays
        The distinct sets of the request, none of them empty.
    summed : sequence of int
        Its `parts`.
    earlier : PeopleSets
        Distinct sets of what was released before.
    families : sparse array, shape (earlier sets, answers)
        `incidence` of the parts of each earlier answer.
    floor : int
        People.
    """
    if floor <= 1 or not bits:
        return
    own = PeopleSets.of(bits, earlier.stride)
    sizes = own.sizes
    own_family = incidence([summed], len(bits))
    for other in (own, earlier):
        shared = np.stack([other.common(one, floor) for one in bits])
        for now, whole, people in _pairs(shared, sizes, other.sizes, floor):
            yield Difference(now, whole, other is earlier, people)
        for whole, _, people in _remainders(shared.T, sizes, other.sizes, own_family, floor):
            yield Difference(summed[0], whole, other is earlier, people)
    for now, family, people in _remainders(shared, earlier.sizes, sizes, families, floor):
        yield Difference(now, int(families[:, [family]].nonzero()[0][0]), True, people)


def _pairs(
    shared: NDArray[np.int64], sizes: NDArray[np.int64], others: NDArray[np.int64], floor: int
) -> Iterator[tuple[int, int, int]]:
    """Two sets that differ by fewer people than the floor: both, and by how many."""
    apart = sizes[:, None] + others[None, :] - 2 * shared
    for now, other in np.argwhere((shared >= 0) & (apart > 0) & (apart < floor)):
        yield int(now), int(other), int(apart[now, other])


def _remainders(
    shared: NDArray[np.int64],
    sizes: NDArray[np.int64],
    wholes: NDArray[np.int64],
    families: csr_array,
    floor: int,
) -> Iterator[tuple[int, int, int]]:
    """Sets that hold parts of a family, and fewer others than the floor: both, and how many.

    `shared` is (wholes, sets) and `families` (sets, families). A set that holds one part alone is
    one of the pairs.
    """
    if not shared.size or not families.shape[1]:
        return
    inside = csr_array(np.where(shared == sizes, 1, 0))
    held = (inside @ families).toarray()
    left = wholes[:, None] - (csr_array(inside * sizes) @ families).toarray()
    for whole, family in np.argwhere((held > 1) & (left > 0) & (left < floor)):
        yield int(whole), int(family), int(left[whole, family])

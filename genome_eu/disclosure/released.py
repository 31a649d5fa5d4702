"""What a site remembers of the people whom it has released something of. Private to the site.

    salt               the key of all hashes below
    people.npy         hashes of sample ids; a person's place never changes
    sets/DIGEST.npy    a set of people, one bit a place
    spans/*.npy        what the columns of a release add to those of all before (`span`)
    releases/*.json    one release: its plan, its sets, their columns and traits

A release counts from the moment that its own file has its name; what it needs is on the disk
before. Files of sets that no release names are left over from a crash and do no harm.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import secrets
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy.sparse import csr_array

from genome_eu.atomic import write_whole
from genome_eu.canonical import canonical
from genome_eu.disclosure.differencing import PeopleSets, Roll, flags, incidence
from genome_eu.disclosure.ledger import sync_folder
from genome_eu.disclosure.span import Span
from genome_eu.errors import LedgerError

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]

#: The budget whose items are products with rows of genotypes, and cost as much as they have rows.
ROWS = "rows per person"

_NO_DIRECTIONS = np.empty((0, 0))


class Record(BaseModel):
    """One release: the distinct sets of people that it describes, and what of each.

    `parts` are those of its sets that its sums can be added up from; `spent` gives, for each kind
    of budget, what was released of each set; `rows`, how many rows each item of `ROWS` stands for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: Literal[1] = 1
    plan: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    sets: tuple[Digest, ...]
    sizes: tuple[int, ...]
    parts: tuple[int, ...]
    rows: int = 0
    spent: dict[str, tuple[tuple[str, ...], ...]]

    @property
    def content(self) -> bytes:
        """Canonical JSON."""
        return canonical(self.model_dump(mode="json"))

    @property
    def name(self) -> str:
        """Name of its file: one plan may have been answered of two states of a cohort."""
        return f"{self.plan}-{hashlib.sha256(self.content).hexdigest()[:16]}.json"


class Released:
    """Everything that was released before, by whose people it describes.

    Parameters
    ----------
    folder : path or None
        Private to the site; made with mode 700. None keeps everything in memory.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.roll = Roll(np.empty(0, np.uint64))
        self.records: dict[str, Record] = {}
        self.numbers: dict[str, int] = {}  # of each distinct set, by its digest
        self.people = PeopleSets(self._load, 1)
        self.span = Span()
        self._digests: list[str] = []
        self._memory: dict[str, NDArray[np.uint64]] = {}
        self._families: dict[tuple[int, ...], None] = {}  # distinct ones, in their order
        self._incidence = incidence([], 0)
        self._paid: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self._spent: dict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros(0))
        self.salt = secrets.token_bytes(32) if folder is None else self._salt(folder)
        self.refresh()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else adds a release meanwhile."""
        if self.folder is None:
            yield
            return
        with (self.folder / "lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def refresh(self) -> None:
        """Read the releases that were added since the last time."""
        if self.folder is None:
            return
        paths = (self.folder / "releases").glob("*.json")
        new = sorted(path for path in paths if path.name not in self.records)
        if not new:
            return
        self.roll = Roll(_array(self.folder / "people.npy"))
        for path in new:
            try:
                self._learn(Record.model_validate_json(path.read_bytes()))
            except (OSError, ValidationError):
                raise LedgerError(f"{path} is damaged; restore it from a backup") from None

    def add(
        self,
        record: Record,
        roll: Roll,
        bits: Mapping[str, NDArray[np.uint64]],
        directions: NDArray[np.float64] = _NO_DIRECTIONS,
    ) -> None:
        """Add a release; it is on the disk when this returns. Only under the lock.

        `bits` are its sets by digest, on a roll that holds all of their people, and `directions`
        what its columns add to the span.
        """
        if record.name in self.records:
            return
        if self.folder is not None:
            # The roll first: places that a set's bits speak of must never be given to others.
            if roll is not self.roll:
                _write_array(self.folder / "people.npy", roll.hashes)
                sync_folder(self.folder)
            for digest, one in bits.items():
                if not self._path(digest).exists():
                    _write_array(self._path(digest), one)
            sync_folder(self.folder / "sets")
            if len(directions):
                (self.folder / "spans").mkdir(exist_ok=True, mode=0o700)
                _write_array(self._span(record), directions)
                sync_folder(self.folder / "spans")
            write_whole(self.folder / "releases" / record.name, record.content, private=True)
            sync_folder(self.folder / "releases")
        self.roll = roll
        self._memory.update({} if self.folder is not None else bits)
        if self.folder is None:
            self.span.add(directions)
        self._learn(record)

    def paid(self, kind: str, digest: str) -> set[str]:
        """What has been released of one set of people."""
        return self._paid[kind].get(digest, set())

    def spent(self, kind: str, places: int) -> NDArray[np.float64]:
        """What each person's share of everything released comes to, by place on the roll.

        A release of c columns on n people costs each of them c/n. However sets overlap, the columns
        on people within any group then never number more than its people's costs together. Of
        `ROWS`, a column costs as much as it has rows.
        """
        known = self._spent[kind]
        return np.append(known, np.zeros(places - known.size))

    @property
    def families(self) -> csr_array:
        """Which sets make up the parts of earlier answers, (sets, answers)."""
        shape = (len(self.people), len(self._families))
        if self._incidence.shape != shape:
            self._incidence = incidence(list(self._families), len(self.people))
        return self._incidence

    def plans(self, number: int) -> tuple[str, ...]:
        """The plans whose answers described a set."""
        digest = self._digests[number]
        return tuple(
            sorted({record.plan for record in self.records.values() if digest in record.sets})
        )

    def _learn(self, record: Record) -> None:
        if not self.records:
            self.people = PeopleSets(self._load, PeopleSets.stride_for(self.roll.hashes.size))
        for place, (digest, size) in enumerate(zip(record.sets, record.sizes, strict=True)):
            new = {
                kind: {*items[place]} - self.paid(kind, digest)
                for kind, items in record.spent.items()
            }
            if digest in self.numbers and not any(new.values()):
                continue
            bits = self._load(digest)
            if int(np.bitwise_count(bits).sum()) != size:
                raise LedgerError(f"{self._path(digest)} is damaged; restore it from a backup")
            if digest not in self.numbers:
                self.numbers[digest] = len(self._digests)
                self._digests.append(digest)
                self.people.add(bits)
            for kind, items in new.items():
                self._spend(kind, digest, bits, items, record.rows if kind == ROWS else 1)
        if len(record.parts) > 1:
            self._families[tuple(self.numbers[record.sets[part]] for part in record.parts)] = None
        if self.folder is not None and self._span(record).exists():
            self.span.add(_array(self._span(record), "<f8", 2))
        self.records[record.name] = record

    def _span(self, record: Record) -> Path:
        return (self.folder or Path()) / "spans" / f"{record.name.removesuffix('.json')}.npy"

    def _spend(
        self, kind: str, digest: str, bits: NDArray[np.uint64], items: set[str], each: int
    ) -> None:
        if items:
            chosen = flags(bits)
            total = self.spent(kind, max(chosen.size, self._spent[kind].size))
            total[: chosen.size][chosen] += each * len(items) / chosen.sum()
            self._spent[kind] = total
            self._paid[kind][digest] |= items

    def _load(self, number: int | str) -> NDArray[np.uint64]:
        digest = number if isinstance(number, str) else self._digests[number]
        return self._memory[digest] if self.folder is None else _array(self._path(digest))

    def _path(self, digest: str) -> Path:
        return (self.folder or Path()) / "sets" / f"{digest}.npy"

    def _salt(self, folder: Path) -> bytes:
        for part in (folder, folder / "sets", folder / "releases"):
            part.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / "salt"
        with self.locked():
            if not path.exists():
                if any((folder / "releases").iterdir()):
                    raise LedgerError(
                        f"{path} is missing, without which nobody can be recognized; restore it "
                        f"from a backup"
                    )
                write_whole(path, secrets.token_bytes(32), private=True)
                sync_folder(folder)
        salt = path.read_bytes()
        if len(salt) != 32:
            raise LedgerError(f"{path} is damaged; restore it from a backup")
        return salt


def _write_array(path: Path, values: NDArray[Any]) -> None:
    content = io.BytesIO()
    np.save(content, values, allow_pickle=False)
    write_whole(path, content.getvalue(), private=True)


def _array(path: Path, kind: str = "<u8", dimensions: int = 1) -> NDArray[Any]:
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError):
        raise LedgerError(f"{path} is damaged; restore it from a backup") from None
    if values.dtype != np.dtype(kind) or values.ndim != dimensions:
        raise LedgerError(f"{path} is damaged; restore it from a backup")
    return values

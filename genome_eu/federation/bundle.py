"""Bundles: one plan, answer or refusal as a tar with `manifest.json` first, then `.npy` members.

Every member's size and SHA-256 stand in the manifest and are checked when it is read; the last
member is the SHA-256 of the manifest itself. Nothing is pickled, no path leaves the archive, and a
member that the manifest does not name is an error. Headers and padding have one spelling, which
is checked too: nothing can be hidden between the members, and no damaged byte goes unnoticed.
(Signature and sealing wrap the finished tar; they have no part in its content.)
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import re
import struct
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, FailFast, Field

from genome_eu._version import __version__
from genome_eu.atomic import AtomicFile
from genome_eu.canonical import canonical
from genome_eu.disclosure.airlock import Judged
from genome_eu.disclosure.budget import Exposure
from genome_eu.disclosure.checks import Evidence
from genome_eu.errors import BadInput, BundleError
from genome_eu.federation.parameters.types import Hash, Name
from genome_eu.federation.plan import FORMAT, Plan, npy_bytes
from genome_eu.federation.secure_sum import Floors
from genome_eu.stats.aggregate import AGGREGATES, Aggregate, declared

_MANIFEST = "manifest.json"
_MANIFEST_DIGEST = "manifest.sha256"
_BLOCK = 512
_RECORD = 20 * _BLOCK
# In memory it may be 27 times that: what `[]` takes, over its bytes.
_MANIFEST_LIMIT = 16 * 2**20
_MEMBER_LIMIT = 4 * 2**30
_DTYPES = {"<i8", "<f8", "|b1", "|u1", "<u8"}
Masks = Callable[[int], Mapping[str, NDArray[np.uint64]]]
MemberName = Annotated[str, Field(pattern=r"^(inputs|shard-\d{6})/[a-z_]{1,64}\.npy$")]


# What another party wrote and a person reads: nothing that moves a cursor or begins a line.
Line = Annotated[str, Field(pattern=r"^[^\p{C}\p{Zl}\p{Zp}]*$")]


class Member(BaseModel):
    """One array of a bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: MemberName
    bytes: int = Field(ge=0, le=_MEMBER_LIMIT)
    sha256: Hash


class EvidenceRecord(BaseModel):
    """One check of the airlock, as it travels."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    check: Line = Field(max_length=100)
    limit: float
    withheld: int
    of: int
    verdict: Literal["pass", "withheld", "review"]


class SecureSum(BaseModel):
    """What an answer under masks says of itself: nothing of the numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    context: Hash
    floors: Floors  # for the publisher: the strictest of all who take part
    commitments: Annotated[tuple[Hash, ...], FailFast()]  # one a shard


class Manifest(BaseModel):
    """The first member of every bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: Literal[2] = FORMAT
    kind: Literal["plan", "answer", "refusal"]
    software: Line = Field(default=f"genome_eu {__version__}", max_length=100)
    site: Name | None = None
    plan: Hash
    content: Plan | None = None
    cohort: Hash | None = None
    statistic: Name | None = None
    version: int | None = None
    shards: int = Field(default=0, ge=0)
    policy: Name | None = None
    floors: bool | None = None
    evidence: Annotated[tuple[EvidenceRecord, ...], FailFast()] = ()
    secure_sum: SecureSum | None = None
    reason: Literal["policy", "input", "fault", "review"] | None = None
    message: Line | None = Field(default=None, max_length=500)
    members: Annotated[tuple[Member, ...], FailFast()] = ()


class MemoryArrays:
    """Arrays of a release kept in memory."""

    def __init__(self) -> None:
        self._shards: dict[int, Aggregate] = {}

    def put(self, shard: int, aggregate: Aggregate) -> None:
        """Keep one shard."""
        self._shards[shard] = aggregate

    def get(self, shard: int) -> Aggregate:
        """One shard back."""
        return self._shards[shard]

    def members(self) -> Iterator[tuple[str, bytes]]:
        """All arrays as `.npy`, in wire order."""
        for shard, aggregate in sorted(self._shards.items()):
            for item in declared(aggregate):
                yield f"shard-{shard:06d}/{item.name}.npy", npy_bytes(getattr(aggregate, item.name))


class FileArrays:
    """Arrays of a release kept as files in a temporary folder until they are bundled."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, shard: int, aggregate: Aggregate) -> None:
        """Keep one shard."""
        arrays = {item.name: getattr(aggregate, item.name) for item in declared(aggregate)}
        self.put_arrays(shard, arrays)

    def put_arrays(self, shard: int, arrays: Mapping[str, NDArray]) -> None:
        """Keep the arrays of one shard, by field."""
        place = self._folder / f"shard-{shard:06d}"
        place.mkdir()
        for name, array in arrays.items():
            (place / f"{name}.npy").write_bytes(npy_bytes(array))

    def members(self) -> Iterator[tuple[str, bytes]]:
        """All arrays as `.npy`, one at a time, in shard order."""
        for place in sorted(self._folder.glob("shard-*")):
            for file in sorted(place.iterdir()):
                yield f"{place.name}/{file.name}", file.read_bytes()


def write_answer(path: Path, judged: Judged, cohort: str) -> None:
    """Write a site's answer as the airlock judged it. Nothing unjudged is accepted."""
    if not isinstance(judged, Judged):
        raise BundleError(f"{type(judged).__name__} has not passed the airlock")
    manifest = Manifest(
        kind="answer",
        site=judged.site,
        plan=judged.plan,
        cohort=cohort,
        statistic=judged.statistic,
        version=judged.version,
        shards=judged.shards,
        policy=judged.policy,
        floors=judged.floors,
        evidence=tuple(record(item) for item in judged.evidence),
    )
    _write(path, manifest, judged.spool.members)


def record(item: Evidence) -> EvidenceRecord:
    """Evidence as it travels: the reason is for the people at the site."""
    said = asdict(item)
    return EvidenceRecord(**{name: said[name] for name in EvidenceRecord.model_fields})


def judged_from(bundle: Bundle, exposure: Exposure, reasons: Mapping[str, str]) -> Judged:
    """What `write_answer` wrote, to be let out by a later run of the same site."""
    said = bundle.manifest
    if said.kind != "answer" or said.secure_sum is not None:
        raise BundleError(f"bundle {bundle.path.name} is not a judged answer")
    return Judged(
        site=str(said.site),
        plan=said.plan,
        statistic=str(said.statistic),
        version=int(said.version or 0),
        shards=said.shards,
        policy=str(said.policy),
        floors=bool(said.floors),
        evidence=tuple(
            Evidence(**item.model_dump(), reason=reasons.get(item.check, ""))
            for item in said.evidence
        ),
        spool=bundle,
        exposure=exposure,
    )


def write_masked(path: Path, clear: Bundle, arrays: Masks, said: SecureSum) -> None:
    """Write a judged answer under masks: the same manifest, over other arrays.

    Parameters
    ----------
    clear : Bundle
        The answer as judged.
    arrays : callable
        The masked arrays of a shard, by its number.
    said : SecureSum
        The round that the masks belong to.
    """
    # What was checked, without a number: one that follows from this site's people is theirs.
    checked = tuple(
        item.model_copy(update={"withheld": 0, "of": 0}) for item in clear.manifest.evidence
    )
    manifest = clear.manifest.model_copy(
        update={"secure_sum": said, "members": (), "evidence": checked}
    )
    with tempfile.TemporaryDirectory(prefix="work-", dir=path.parent) as folder:
        # Read twice, made once: masks take far longer than the disk.
        kept = FileArrays(Path(folder))
        for shard in range(clear.manifest.shards):
            kept.put_arrays(shard, arrays(shard))
        _write(path, manifest, kept.members)


def write_plan(path: Path, plan: Plan, inputs: dict[str, NDArray]) -> None:
    """Write a plan with the arrays that it names."""

    def members() -> Iterator[tuple[str, bytes]]:
        for name in sorted(inputs):
            yield f"inputs/{name}.npy", npy_bytes(inputs[name])

    _write(path, Manifest(kind="plan", plan=plan.hash, content=plan), members)


def write_refusal(
    path: Path,
    site: str,
    plan: str,
    reason: Literal["policy", "input", "fault", "review"],
    message: str,
) -> None:
    """Write that a site does not answer a plan, and why in one line."""
    manifest = Manifest(kind="refusal", site=site, plan=plan, reason=reason, message=message[:500])
    _write(path, manifest, lambda: iter(()))


def _write(path: Path, manifest: Manifest, members: Any) -> None:
    """Write the tar beside `path`, then move it into place: it is there whole or not at all."""
    # Two passes: sizes and digests stand in the manifest, which comes first.
    listed = tuple(
        Member(name=name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        for name, content in members()
    )
    head = canonical(manifest.model_copy(update={"members": listed}).model_dump(mode="json"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with AtomicFile(path) as file:
        written = _write_member(file.handle, _MANIFEST, head)
        for name, content in members():
            written += _write_member(file.handle, name, content)
        digest = hashlib.sha256(head).hexdigest().encode()
        written += _write_member(file.handle, _MANIFEST_DIGEST, digest)
        file.write(_tar_end(written))


def _write_member(file: BinaryIO, name: str, content: bytes) -> int:
    padding = bytes(-len(content) % _BLOCK)
    return sum(file.write(part) for part in (_tar_header(name, len(content)), content, padding))


def _tar_header(name: str, size: int) -> bytes:
    """A ustar header. Owner, mode and time are the same everywhere: equal content, equal bytes."""
    # Python's tarfile writes other bytes in other versions, so it cannot be compared against.
    before = name.encode().ljust(100, b"\0") + b"0000644\0" + 2 * b"0000000\0"
    before += b"%011o\0" % size + b"%011o\0" % 0
    after = b"0" + bytes(100) + b"ustar\x0000" + bytes(247)
    checksum = b"%06o\0 " % (sum(before) + 8 * ord(" ") + sum(after))
    return before + checksum + after


def _tar_end(written: int) -> bytes:
    """Two empty blocks, and what fills the last record."""
    return bytes(2 * _BLOCK + -(written + 2 * _BLOCK) % _RECORD)


class Bundle:
    """A bundle on disk, opened for reading; arrays are read and checked one at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offsets: dict[str, int] = {}
        try:
            with path.open("rb") as file:
                content = self._manifest_bytes(file)
                try:
                    self.manifest = Manifest.model_validate(json.loads(content))
                except (ValueError, RecursionError) as error:
                    raise BundleError(
                        f"bundle {path.name} is not a genome_eu bundle of format {FORMAT} "
                        f"({error.__class__.__name__}); ask for it again"
                    ) from None
                for member in self.manifest.members:
                    self._offsets[member.name] = self._enter(file, member.name, member.bytes)
                    file.seek(member.bytes, io.SEEK_CUR)
                    self._leave(file, member.bytes)
                self._enter(file, _MANIFEST_DIGEST, 64)
                digest = file.read(64)
                self._leave(file, 64)
                end = _tar_end(file.tell())
                if file.read(len(end) + 1) != end:
                    raise BundleError(
                        f"bundle {path.name} does not end where its manifest says; ask for it again"
                    )
        except OSError as error:
            raise BundleError(f"bundle {path.name} cannot be read: {error.strerror}") from None
        if digest != hashlib.sha256(content).hexdigest().encode():
            raise BundleError(f"bundle {path.name}: its manifest is damaged; ask for it again")
        if len(self._offsets) != len(self.manifest.members):
            raise BundleError(f"bundle {path.name} names a member twice")
        self._members = {member.name: member for member in self.manifest.members}
        content_plan = self.manifest.content
        if content_plan is not None and content_plan.hash != self.manifest.plan:
            raise BundleError(f"bundle {path.name}: the plan is not the one that its hash names")

    def _manifest_bytes(self, file: BinaryIO) -> bytes:
        head = file.read(_BLOCK)
        digits = head[124:135]
        size = int(digits, 8) if re.fullmatch(rb"[0-7]{11}", digits) else _MANIFEST_LIMIT + 1
        if size > _MANIFEST_LIMIT or head != _tar_header(_MANIFEST, size):
            raise BundleError(f"bundle {self.path.name} does not begin with its manifest")
        content = file.read(size)
        self._leave(file, size)
        return content

    def _enter(self, file: BinaryIO, name: str, size: int) -> int:
        """Pass the header of a member, which must be the next; where its content begins."""
        if file.read(_BLOCK) != _tar_header(name, size):
            raise BundleError(
                f"bundle {self.path.name} does not hold {name} where its manifest says; ask for "
                f"it again"
            )
        return file.tell()

    def _leave(self, file: BinaryIO, size: int) -> None:
        padding = -size % _BLOCK
        if file.read(padding) != bytes(padding):
            raise BundleError(f"bundle {self.path.name} is cut short or damaged; ask for it again")

    @property
    def size(self) -> int:
        """Bytes of the whole bundle."""
        return self.path.stat().st_size

    def array(self, name: str) -> NDArray:
        """Read one member after checking its digest.

        Raises
        ------
        BundleError
            It is missing, damaged, or not a plain number array.
        """
        member = self._members.get(name)
        if member is None:
            raise BundleError(f"bundle {self.path.name} has no {name}")
        with self.path.open("rb") as file:
            file.seek(self._offsets[name])
            content = file.read(member.bytes)
        if hashlib.sha256(content).hexdigest() != member.sha256:
            raise BundleError(f"bundle {self.path.name}: {name} is damaged; ask for it again")
        return _parse(content, f"bundle {self.path.name}: {name}")

    def verify(self) -> None:
        """Read every array and check its digest.

        Raises
        ------
        BundleError
            One of them is damaged or not a plain number array.
        """
        for name in self._members:
            self.array(name)

    def inputs(self) -> dict[str, NDArray]:
        """The arrays of a plan; each must be the one that the plan names."""
        plan = self.manifest.content
        if self.manifest.kind != "plan" or plan is None:
            raise BundleError(f"bundle {self.path.name} is not a plan")
        listed = {f"inputs/{name}.npy": digest for name, digest in plan.inputs.items()}
        if {member.name: member.sha256 for member in self.manifest.members} != listed:
            raise BundleError(f"bundle {self.path.name}: its arrays are not those of the plan")
        return {name: self.array(f"inputs/{name}.npy") for name in plan.inputs}

    def masked(self, number: int) -> dict[str, NDArray[np.uint64]]:
        """One shard of an answer under masks, by field."""
        if self.manifest.secure_sum is None:
            raise BundleError(f"bundle {self.path.name} is not under masks")
        shard = f"shard-{number:06d}/"
        names = [name for name in self._members if name.startswith(shard)]
        return {name.removeprefix(shard).removesuffix(".npy"): self.array(name) for name in names}

    def shard(self, number: int) -> Aggregate:
        """One shard of an answer as its aggregate."""
        if self.manifest.secure_sum is not None:
            raise BundleError(f"bundle {self.path.name} is under masks; only a sum can be read")
        kind = AGGREGATES.get(self.manifest.statistic or "")
        if self.manifest.kind != "answer" or kind is None:
            raise BundleError(f"bundle {self.path.name} is not an answer of a known statistic")
        if kind.version != self.manifest.version:
            raise BundleError(
                f"bundle {self.path.name} has version {self.manifest.version} of "
                f"{kind.statistic}, this is version {kind.version}"
            )
        arrays = {}
        for item in declared(kind):
            name = f"shard-{number:06d}/{item.name}.npy"
            arrays[item.name] = self.array(name)
            if arrays[item.name].dtype != item.metadata["dtype"]:
                raise BundleError(f"bundle {self.path.name}: {name} is of another number type")
        try:
            return kind(**arrays)
        except BadInput as error:
            raise BundleError(f"bundle {self.path.name}: {error}") from None


def _parse(content: bytes, where: str) -> NDArray:
    """A `.npy` file of a plain number type. NumPy's own reader would accept more than that."""
    if content[:8] != b"\x93NUMPY\x01\x00" or len(content) < 10:
        raise BundleError(f"{where} is not a .npy file of version 1")
    length = struct.unpack("<H", content[8:10])[0]
    try:
        head = ast.literal_eval(content[10 : 10 + length].decode("latin1").strip())
        descr, fortran, shape = str(head["descr"]), head["fortran_order"], tuple(head["shape"])
        sizes_fit = all(isinstance(size, int) and 0 <= size <= _MEMBER_LIMIT for size in shape)
    except (SyntaxError, ValueError, KeyError, TypeError, MemoryError, RecursionError):
        raise BundleError(f"{where} has no valid header") from None
    if descr not in _DTYPES or fortran is not False or not sizes_fit or len(shape) > 8:
        raise BundleError(f"{where} is not an array that a bundle may hold")
    if descr == "|b1" and content[10 + length :].translate(None, b"\0\1"):
        raise BundleError(f"{where} holds flags that are neither true nor false")
    dtype = np.dtype(descr)
    expected = dtype.itemsize
    for size in shape:
        expected *= size
    if len(content) - 10 - length != expected:
        raise BundleError(f"{where} is not as long as its header says")
    try:
        return np.frombuffer(content, dtype, offset=10 + length).reshape(shape)
    except ValueError:
        # An empty array may still claim more than can be addressed.
        raise BundleError(f"{where} is larger than an array can be") from None

"""Read bundles: every byte is checked before it means anything."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure.airlock import Judged
from genome_eu.disclosure.budget import Exposure
from genome_eu.disclosure.checks import Evidence
from genome_eu.errors import BadInput, BundleError
from genome_eu.federation.bundle.manifest import (
    MANIFEST,
    MANIFEST_DIGEST,
    MANIFEST_LIMIT,
    MEMBER_LIMIT,
    Manifest,
)
from genome_eu.federation.bundle.tar import BLOCK, tar_end, tar_header
from genome_eu.federation.plan import FORMAT
from genome_eu.stats.aggregate import AGGREGATES, Aggregate, declared

_DTYPES = {"<i8", "<f8", "|b1", "|u1", "<u8"}


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
                self._enter(file, MANIFEST_DIGEST, 64)
                digest = file.read(64)
                self._leave(file, 64)
                end = tar_end(file.tell())
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
        head = file.read(BLOCK)
        digits = head[124:135]
        size = int(digits, 8) if re.fullmatch(rb"[0-7]{11}", digits) else MANIFEST_LIMIT + 1
        if size > MANIFEST_LIMIT or head != tar_header(MANIFEST, size):
            raise BundleError(f"bundle {self.path.name} does not begin with its manifest")
        content = file.read(size)
        self._leave(file, size)
        return content

    def _enter(self, file: BinaryIO, name: str, size: int) -> int:
        """Pass the header of a member, which must be the next; where its content begins."""
        if file.read(BLOCK) != tar_header(name, size):
            raise BundleError(
                f"bundle {self.path.name} does not hold {name} where its manifest says; ask for "
                f"it again"
            )
        return file.tell()

    def _leave(self, file: BinaryIO, size: int) -> None:
        padding = -size % BLOCK
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


def _parse(content: bytes, where: str) -> NDArray:
    """A `.npy` file of a plain number type. NumPy's own reader would accept more than that."""
    if content[:8] != b"\x93NUMPY\x01\x00" or len(content) < 10:
        raise BundleError(f"{where} is not a .npy file of version 1")
    length = struct.unpack("<H", content[8:10])[0]
    try:
        head = ast.literal_eval(content[10 : 10 + length].decode("latin1").strip())
        descr, fortran, shape = str(head["descr"]), head["fortran_order"], tuple(head["shape"])
        sizes_fit = all(isinstance(size, int) and 0 <= size <= MEMBER_LIMIT for size in shape)
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

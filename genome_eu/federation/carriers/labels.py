"""What the files of a message are called in a store, and what is not a name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, Self

from genome_eu.errors import BadInput, BundleError

#: The largest part; one part at a time is held in memory.
LARGEST_PART: Final = 1 << 26

_STUDY = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"
_ROUND = r"[0-9]{4,5}"
_LEAF = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\.[a-z]{1,16}"
_PART = r"\.[0-9]{6}\.[0-9a-f]{32}"
_COVER = ".cover.json"
_NAME = re.compile(f"(?P<folder>{_STUDY}/{_ROUND})/(?P<leaf>{_LEAF})")
_FOLDER = re.compile(f"|{_STUDY}(/{_ROUND})?")
_A_PART = re.compile(_PART)
_A_LEFTOVER = re.compile(rf"({_PART}|{re.escape(_COVER)})\.[0-9a-f]{{8}}\.partial")


class Part(Protocol):
    """What a cover says of a part."""

    @property
    def bytes(self) -> int:
        """Its size."""
        ...

    @property
    def sha256(self) -> str:
        """Its digest, 64 hex digits."""
        ...


@dataclass(frozen=True)
class Label:
    """A message's name, `STUDY/ROUND/NAME.KIND`, and the names of its files."""

    name: str
    folder: str
    leaf: str

    @classmethod
    def of(cls, name: str) -> Self:
        """The label of a message; BadInput where the name could lead anywhere else."""
        found = _NAME.fullmatch(name)
        if found is None:
            raise BadInput(f"{name[:200]!r} is no name of a message; it is STUDY/ROUND/NAME.KIND")
        return cls(name, found["folder"], found["leaf"])

    @property
    def cover(self) -> str:
        """The file that makes it a message."""
        return self.name + _COVER

    def parts(self, parts: Sequence[Part]) -> list[str]:
        """Their files, named by number and content: equal names are equal parts."""
        for number, part in enumerate(parts):
            usable = 0 < part.bytes <= LARGEST_PART and re.fullmatch("[0-9a-f]{64}", part.sha256)
            if not usable or number > 999_999:
                raise BundleError(
                    f"part {number} of {self.name} is announced with no usable size or digest"
                )
        return [f"{self.name}.{at:06d}.{part.sha256[:32]}" for at, part in enumerate(parts)]

    def parts_among(self, files: Iterable[str]) -> list[str]:
        """Any parts of this message."""
        return _among(files, self.name, _A_PART)

    def leftovers_among(self, files: Iterable[str]) -> list[str]:
        """What a writer of this message who was killed left under a temporary name."""
        return _among(files, f"{self.folder}/.{self.leaf}", _A_LEFTOVER)


def _among(files: Iterable[str], start: str, rest: re.Pattern[str]) -> list[str]:
    """The files whose names are this and then what the pattern says."""
    return [one for one in files if one.startswith(start) and rest.fullmatch(one, len(start))]


def message_of(path: str) -> str | None:
    """The message that a file is the cover of, if it is one."""
    name = path.removesuffix(_COVER)
    return name if name != path and _NAME.fullmatch(name) else None


def is_place(folder: str) -> bool:
    """Whether messages may lie in or below this folder: everything, a study, or a round."""
    return _FOLDER.fullmatch(folder) is not None


def above(name: str) -> tuple[str, str]:
    """The study and the round that a message lies in."""
    place, _, _ = name.rpartition("/")
    return place.partition("/")[0], place

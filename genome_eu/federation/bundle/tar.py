"""The tar of a bundle, which has one spelling: headers, padding and end."""

from __future__ import annotations

from typing import BinaryIO

BLOCK = 512
_RECORD = 20 * BLOCK


def write_member(file: BinaryIO, name: str, content: bytes) -> int:
    """Write header, content and padding; how many bytes they are."""
    padding = bytes(-len(content) % BLOCK)
    return sum(file.write(part) for part in (tar_header(name, len(content)), content, padding))


def tar_header(name: str, size: int) -> bytes:
    """A ustar header. Owner, mode and time are the same everywhere: equal content, equal bytes."""
    # Python's tarfile writes other bytes in other versions, so it cannot be compared against.
    before = name.encode().ljust(100, b"\0") + b"0000644\0" + 2 * b"0000000\0"
    before += b"%011o\0" % size + b"%011o\0" % 0
    after = b"0" + bytes(100) + b"ustar\x0000" + bytes(247)
    checksum = b"%06o\0 " % (sum(before) + 8 * ord(" ") + sum(after))
    return before + checksum + after


def tar_end(written: int) -> bytes:
    """Two empty blocks, and what fills the last record."""
    return bytes(2 * BLOCK + -(written + 2 * BLOCK) % _RECORD)

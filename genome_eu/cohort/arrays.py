"""Arrays of a store: made under zarr 2 and 3 alike, and written by whole chunks."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import threading
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import zarr
from numpy.typing import NDArray

ZARR_2 = int(zarr.__version__.split(".")[0]) < 3

NUMBERS = numcodecs.Blosc("lz4", clevel=5, shuffle=numcodecs.Blosc.SHUFFLE)
# What is compressed already, save the filling of its last chunk.
BYTES = numcodecs.Blosc("lz4", clevel=1, shuffle=numcodecs.Blosc.NOSHUFFLE)
# Version and flags, bytes decoded, bytes of a block, bytes with this header.
_BLOSC_HEADER = struct.Struct("<4I")
_FILE_CHUNK = 16 * 2**20
DIGEST_BYTES = 32

# A chunk is what a worker reads and checks at once: large enough for a disk, and small enough
# that a cohort of a few hundred people still has work for many workers.
_CHUNK_BYTES = 8 * 2**20
_CHUNK_ROWS = 8192
# A chunk is a file. Only format 3 of Zarr puts many into one, which zarr 2 and so sgkit's own
# versions cannot open; so where there would be more files than this, chunks are larger.
_FILES = 100_000
_LARGEST_CHUNK_BYTES = 64 * 2**20


def create_array(
    group: Any,
    name: str,
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    dtype: Any,
    compressor: Any = NUMBERS,
    *,
    fill_value: int | None = 0,
    nested: bool = False,
) -> Any:
    """An array in a group, by the one call that zarr 2 has for it and the one that zarr 3 has.

    The chunks of a `nested` array lie in folders of folders, as bio2zarr's do.
    """
    made = {"shape": shape, "chunks": chunks, "dtype": dtype, "fill_value": fill_value}
    separator = "/" if nested else "."
    if ZARR_2:
        return group.create_dataset(
            name, compressor=compressor, dimension_separator=separator, **made
        )
    keys = {"name": "v2", "separator": separator}
    return group.create_array(name, compressors=compressor, chunk_key_encoding=keys, **made)


class ArrayWriter:
    """Collects what is appended to a new array, writes it by whole chunks, and digests it."""

    def __init__(
        self,
        group: Any,
        name: str,
        shape: tuple[int, ...],
        chunk_rows: int,
        dtype: Any,
        compressor: Any = NUMBERS,
    ) -> None:
        chunks = (max(1, min(chunk_rows, shape[0])), *shape[1:])
        self.array = create_array(group, name, shape, chunks, dtype, compressor)
        self.digest = hashlib.sha256()
        self._chunk = np.empty(chunks, dtype=dtype)
        self._filled = 0
        self._written = 0

    def append(self, values: NDArray) -> None:
        """Take in the next rows."""
        while len(values):
            taken = values[: len(self._chunk) - self._filled]
            self._chunk[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            values = values[len(taken) :]
            if self._filled == len(self._chunk):
                self._flush()

    def close(self) -> None:
        """Write what is left of the last chunk."""
        if self._filled:
            self._flush()

    def write(self, block: NDArray, start: int) -> None:
        """Write one chunk, or the last part of one, that begins at row `start`."""
        self.array[start : start + len(block)] = block
        self.digest.update(block.data)

    def _flush(self) -> None:
        self.write(self._chunk[: self._filled], self._written)
        self._written += self._filled
        self._filled = 0


def chunk_rows_of(width: int, rows: int) -> int:
    """Rows of a chunk, where each takes so many bytes."""
    width = max(width, 1)
    size = max(_CHUNK_BYTES, min(_LARGEST_CHUNK_BYTES, rows * width // _FILES))
    return max(1, min(_CHUNK_ROWS, size // width, rows))


class DigestedWriter(ArrayWriter):
    """Writes rows by whole chunks, and beside them the digest of each chunk.

    The digests of chunks are needed because Zarr reads an absent chunk as zeros, that is, as people
    who are homozygous for the reference.
    """

    def __init__(
        self,
        group: Any,
        name: str,
        shape: tuple[int, int],
        chunk_rows: int,
        dtype: Any,
        compressor: Any,
    ) -> None:
        super().__init__(group, name, shape, chunk_rows, dtype, compressor)
        self.chunk_rows = self.array.chunks[0]
        self.chunk_digests = np.zeros((-(-shape[0] // self.chunk_rows), DIGEST_BYTES), np.uint8)
        digests = self.chunk_digests.shape
        self.digest_array = create_array(group, digest_name(name), digests, digests, np.uint8)

    def write(self, block: NDArray, start: int) -> None:
        """Write one chunk, and keep its digest."""
        super().write(block, start)
        self.chunk_digests[start // self.chunk_rows] = chunk_digest(block)

    def close(self) -> None:
        """Write what is left, and the digests."""
        super().close()
        self.digest_array[:] = self.chunk_digests


def digest_name(name: str) -> str:
    """The array beside an array of rows that holds the digest of each of its chunks."""
    return f"{name}_digest"


def chunk_digest(block: NDArray) -> NDArray:
    """SHA-256 of a chunk's bytes, as 32 numbers."""
    return np.frombuffer(hashlib.sha256(np.ascontiguousarray(block).data).digest(), dtype=np.uint8)


class ChunkReader:
    """Reads chunks of whole rows from many threads.

    Chunks of a local array are read here and not by Zarr, whose ways cost as much as decoding: with
    two threads on two cores 2.7 GB/s against 1.3 (zarr 2), and 3.0 against 1.4 (zarr 3).

    Parameters
    ----------
    array : zarr.Array, shape (rows, columns)
        Of whole numbers, chunked by rows only.
    folder : Path, optional
        Where it lies, if that is on this machine.
    """

    def __init__(self, array: Any, folder: Path | None) -> None:
        self.array = array
        self._folder = folder
        self._of_thread = threading.local()
        codec = array.compressor if ZARR_2 else (*array.compressors, None)[0]
        blosc = isinstance(codec, numcodecs.Blosc) and not array.filters
        if not blosc or folder is None or not (folder / "0.0").is_file():
            self._folder = None  # as another tool has written it

    def read(self, chunk: int) -> NDArray:
        """The rows of one chunk.

        Raises
        ------
        Exception
            Of any type, if the chunk cannot be read or decoded.
        """
        first = chunk * self.array.chunks[0]
        last = min(first + self.array.chunks[0], self.array.shape[0])
        if self._folder is None:
            return np.ascontiguousarray(self.array[first:last])
        content = self._content(self._folder / f"{chunk}.0")
        decoded = np.empty(self.array.chunks, dtype=self.array.dtype)
        _, size, _, compressed = _BLOSC_HEADER.unpack_from(content)
        # Blosc believes its header, and would read past the end of a file that was cut.
        if size != decoded.nbytes or compressed != len(content):
            raise ValueError(f"{len(content)} bytes of a chunk that needs {compressed}")
        numcodecs.blosc.decompress(content, decoded)
        return decoded[: last - first]

    def _content(self, path: Path) -> memoryview:
        """Bytes of a file, in memory of the thread that its next call writes over."""
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            room = getattr(self._of_thread, "room", b"")
            if len(room) < size:
                room = self._of_thread.room = bytearray(size)
            content = memoryview(room)[:size]
            filled = 0
            while filled < size and (read := file.readinto(content[filled:])):
                filled += read
            return content[:filled]


class CheckedArray:
    """An array of which no more than the chunk that was read last is in memory.

    Parameters
    ----------
    array : zarr.Array
        Chunked along its first dimension only.
    sha256 : str
        Of all its bytes. They are read once to be compared with it; a chunk that is read again
        must be the one that was there then.

    Raises
    ------
    Exception
        Of any type, if the array cannot be read, or is another.
    """

    def __init__(self, array: Any, sha256: str) -> None:
        self._array = array
        self._last: tuple[int, NDArray] | None = None
        self._digests: list[bytes] = []
        whole = hashlib.sha256()
        for number in range(-(-array.shape[0] // array.chunks[0])):
            chunk = self._read(number)
            whole.update(chunk.data)
            self._digests.append(_digest(chunk))
        if whole.hexdigest() != sha256:
            raise ValueError(f"{array.name} has another digest than at import")

    def __len__(self) -> int:
        return int(self._array.shape[0])

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the whole."""
        return tuple(self._array.shape)

    def read(self, start: int, stop: int) -> NDArray:
        """Entries of a range, of which nothing beyond the end is given."""
        size = self._array.chunks[0]
        stop = min(stop, len(self))
        parts = [
            self._chunk(first // size)[max(start - first, 0) : stop - first]
            for first in range(start // size * size, stop, size)
        ]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([np.empty((0, *self.shape[1:]), self._array.dtype), *parts])

    def _chunk(self, number: int) -> NDArray:
        last = self._last
        if last is not None and last[0] == number:
            return last[1]
        chunk = self._read(number)
        if _digest(chunk) != self._digests[number]:
            raise ValueError(f"{self._array.name} has changed since it was opened")
        return chunk

    def _read(self, number: int) -> NDArray:
        size = self._array.chunks[0]
        chunk = np.ascontiguousarray(self._array[number * size : (number + 1) * size])
        self._last = number, chunk
        return chunk


def _digest(values: NDArray) -> bytes:
    return hashlib.sha256(values.data).digest()


class ByteReader(io.RawIOBase):
    """A file that `ByteFile` wrote, read from anywhere."""

    def __init__(self, content: CheckedArray) -> None:
        super().__init__()
        self._content = content
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go somewhere else."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._content)}[whence]
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        """Bytes before the next one."""
        return self._at

    def readinto(self, room: Any) -> int:
        """Fill what is given, as far as the file goes."""
        part = self._content.read(self._at, self._at + len(room))
        memoryview(room).cast("B")[: len(part)] = part.data
        self._at += len(part)
        return len(part)


class ByteFile(io.RawIOBase):
    """A file that is written from begin to end, kept as an array of its bytes."""

    def __init__(self, group: Any, name: str) -> None:
        super().__init__()
        self._group, self._name = group, name
        self._array: Any = None
        self._pending = bytearray()
        self._written = 0
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Bytes so far."""
        return self._written + len(self._pending)

    def write(self, content: Any) -> int:
        """Take in the next bytes."""
        content = memoryview(content).cast("B")
        self._pending += content
        while len(self._pending) > _FILE_CHUNK:
            self._flush(_FILE_CHUNK)
        return len(content)

    def close(self) -> None:
        """Write what is left."""
        if not self.closed:
            self._flush(len(self._pending))
        super().close()

    def _flush(self, size: int) -> None:
        content = bytes(self._pending[:size])
        del self._pending[:size]
        stop = self._written + size
        if self._array is None:
            # Zarr fills the last chunk up, so a short file has a chunk of its own size.
            self._array = create_array(
                self._group, self._name, (stop,), (max(size, 1),), np.uint8, BYTES
            )
        self._array.resize((stop,))
        self._array[self._written : stop] = np.frombuffer(content, dtype=np.uint8)
        self.digest.update(content)
        self._written = stop

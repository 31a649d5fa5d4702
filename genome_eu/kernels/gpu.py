"""The kernels on a CUDA device, through CuPy.

Rows travel packed and stay packed on the device. Products decode them there, a tile at a time, for
cuBLAS; integers come from population counts on bit planes (`gpu.cu`). Products in single precision
would be exact too, but only while a sum stays below 2**24, on planes 32 times as large, and of
whole squares of rows where a band is asked for.

Each thread has a stream of its own, so threads that work on different blocks overlap one's copy
with another's arithmetic. A thread waits for the device only where a result comes back. Rows that
one thread holds and another uses are waited for by an event.

On the device a block takes its packed rows, the columns and results of a product, and one tile of
at most `TILE_BYTES`: `block_bytes`. `gram` and `pair_counts` take bit planes, about one and a half
times the packed rows, and one tile.

Products go through `cupy.cublas.gemm`, which never takes TF32, whatever ``CUPY_TF32`` says to
``cupy.matmul``, and can add to a product in place. CuPy has one cuBLAS handle a thread, and here a
thread has one stream: that is what cuBLAS asks for to give a rerun the same bits on the same kind
of device. Another kind may sum in another order.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import Any

import numpy as np

from genome_eu.errors import UsageError
from genome_eu.kernels.block import BandedGram, PairCounts
from genome_eu.kernels.packed import packed_width

Array = np.ndarray

#: Bytes that one thread's decoded tile, or the counts of its pairs, may take on the device.
TILE_BYTES = 128 * 2**20

_PEOPLE_PER_WORD = 32
_BITS_PER_WORD = 64
_WORD_BYTES = 8

_THREADS = 256
_ROW_THREADS = 32
_MOST_BLOCKS_Y = 65535

_GRAM_FIELDS = 6
_PAIR_FIELDS = 5
_PLANES = 3

# What a tile is decoded to; `decode` in `gpu.cu` knows them by number.
_DOSAGE, _MISSING, _SQUARE = range(3)


@dataclass(frozen=True, eq=False)
class _Cuda:
    """What is used of CuPy, the kernels of `gpu.cu`, and each thread's stream."""

    cupy: Any
    gemm: Any
    empty_pinned: Any
    module: Any
    kernels: dict[str, Any] = field(default_factory=dict)
    own: threading.local = field(default_factory=threading.local)

    def stream(self) -> Any:
        """The calling thread's stream on the current device."""
        streams = self.own.__dict__
        device = f"device {self.cupy.cuda.runtime.getDevice()}"
        if device not in streams:
            streams[device] = self.cupy.cuda.Stream(non_blocking=True)
        return streams[device]

    def kernel(self, name: str) -> Any:
        """A kernel of `gpu.cu`, compiled for the current device at its first launch."""
        if name not in self.kernels:
            self.kernels[name] = self.module.get_function(name)
        return self.kernels[name]


@dataclass(eq=False)
class HeldRows:
    """Packed rows on a device; made by `hold`, used by the kernels.

    Attributes
    ----------
    words
        Device array of uint64, shape (rows, words): 32 people a word, zero padding.
    buffer
        The pinned host memory that the words come from; it must outlive the copy.
    copied
        Event after the copy.
    missing_rows
        Rows with at least one missing call, int64; None until they were asked for.
    """

    words: Any
    buffer: Array | None
    copied: Any
    missing_rows: Array | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, and words of a row."""
        return self.words.shape


class _Work:
    """One kernel's work on the calling thread's stream.

    It keeps the pinned buffers of everything uploaded: given back before the stream has come to
    their copies, they would be filled with something else.
    """

    def __init__(self, cuda: _Cuda) -> None:
        self._cuda = cuda
        self._buffers: list[Array] = []

    def empty(self, shape: tuple[int, ...], dtype: Any = np.int64) -> Any:
        return self._cuda.cupy.empty(shape, dtype=dtype)

    def zeros(self, shape: tuple[int, ...]) -> Any:
        return self._cuda.cupy.zeros(shape, dtype=np.int64)

    def upload(self, host: Array, rows: int | None = None) -> Any:
        """A device copy, with rows of zeros below up to `rows`."""
        shape = (len(host) if rows is None else rows, *host.shape[1:])
        buffer = self._cuda.empty_pinned(shape, dtype=host.dtype)
        buffer[: len(host)] = host
        buffer[len(host) :] = 0
        self._buffers.append(buffer)
        device = self.empty(shape, host.dtype)
        device.set(buffer)
        return device

    def launch(self, name: str, grid: tuple, *arguments: Any, block: tuple = (_THREADS,)) -> None:
        """Start a kernel; Python integers go as 64 bits."""
        sized = tuple(np.int64(a) if isinstance(a, int) else a for a in arguments)
        self._cuda.kernel(name)(grid, block, sized)

    def multiply(self, transposed: bool, tile: Any, columns: Any, out: Any, add: bool) -> None:
        """``out = tile @ columns``, with the tile transposed or not, or add it to `out`."""
        first = "T" if transposed else "N"
        self._cuda.gemm(first, "N", tile, columns, out=out, beta=1.0 if add else 0.0)


def hold(packed: Array) -> HeldRows:
    """Copy rows to the device through pinned memory, without waiting for the copy."""
    rows, width = packed.shape
    words = -(-width // _WORD_BYTES)
    cuda = _cuda()
    with cuda.stream() as stream:
        device = cuda.cupy.empty((rows, words), dtype=np.uint64)
        buffer = None
        if packed.size:
            buffer = cuda.empty_pinned((rows, words), dtype=np.uint64)
            as_bytes = buffer.view(np.uint8)
            as_bytes[:, :width] = packed
            as_bytes[:, width:] = 0
            device.set(buffer)
        return HeldRows(device, buffer, stream.record())


def counts(packed: HeldRows, people: int, groups: Array, n_groups: int) -> Array:
    """Genotype counts per row and group; int64, shape (rows, n_groups, 4)."""
    rows, words = packed.shape
    result = np.zeros((rows, n_groups, 4), dtype=np.int64)
    if result.size and people:
        with _on_stream(packed) as work:
            result[:, :, 1:] = _count(work, packed, _group_masks(groups, n_groups, words))
    size = np.bincount(groups + 1, minlength=n_groups + 1)[1:]
    result[:, :, 0] = size - result[:, :, 1:].sum(axis=2)
    return result


def matmul(packed: HeldRows, people: int, q: Array) -> tuple[Array, Array]:
    """``G @ q`` and ``M @ q``; of q's type, shape (rows, k)."""
    (rows, words), k = packed.shape, q.shape[1]
    missing = np.zeros((rows, k), dtype=q.dtype)
    if not (missing.size and people):
        return np.zeros_like(missing), missing
    with _on_stream(packed) as work:
        columns = work.upload(q, _PEOPLE_PER_WORD * words)
        some = _missing_rows(work, packed)
        # Both are under way before either is waited for.
        dosages_there = _times(work, packed, np.arange(rows), _DOSAGE, columns)
        if some.size:
            missing_there = _times(work, packed, some, _MISSING, columns)
            missing[some] = missing_there.get()
        return dosages_there.get(), missing


def square_matmul(packed: HeldRows, people: int, q: Array) -> Array:
    """``(G * G) @ q``; of q's type, shape (rows, k)."""
    (rows, words), k = packed.shape, q.shape[1]
    if not (rows and k and people):
        return np.zeros((rows, k), dtype=q.dtype)
    with _on_stream(packed) as work:
        columns = work.upload(q, _PEOPLE_PER_WORD * words)
        return _times(work, packed, np.arange(rows), _SQUARE, columns).get()


def rmatmul(packed: HeldRows, people: int, r: Array, s: Array) -> tuple[Array, Array]:
    """``G.T @ r`` and ``M.T @ s``; of r's type, shape (people, k)."""
    rows, k = r.shape
    missing = np.zeros((people, k), dtype=r.dtype)
    if not (missing.size and rows):
        return np.zeros_like(missing), missing
    with _on_stream(packed) as work:
        some = _missing_rows(work, packed)
        dosages_there = _transposed_times(work, packed, np.arange(rows), _DOSAGE, r)
        if some.size:
            missing_there = _transposed_times(work, packed, some, _MISSING, s[some])
            missing = missing_there.get()[:people]
        return dosages_there.get()[:people], missing


def gram(packed: HeldRows, people: int, window: int, include: Array, first: int) -> BandedGram:
    """Sums over the included people called in both rows of each pair (j, j + d)."""
    rows, words = packed.shape
    result = np.zeros((_GRAM_FIELDS, first, window), dtype=np.int64)
    band = min(window, rows)
    if band and people and first:
        with _on_stream(packed) as work:
            mask = work.upload(_group_masks(np.where(include, 0, -1), 1, words))
            n_planes = -(-people // _BITS_PER_WORD)
            planes = work.empty((_PLANES, n_planes, rows), np.uint64)
            grid = (_blocks(rows), min(n_planes, _MOST_BLOCKS_Y))
            work.launch("row_planes", grid, packed.words, mask, rows, words, n_planes, planes)
            for start, stop in _steps(first, _GRAM_FIELDS * 8 * band):
                result[:, start:stop, :band] = _gram_part(
                    work, planes, (rows, n_planes), (start, stop), band
                )
    return BandedGram(*result)


def rcounts(packed: HeldRows, people: int, groups: Array, n_groups: int) -> Array:
    """Genotype counts per person and group of rows; int64, shape (people, n_groups, 4)."""
    rows = packed.shape[0]
    result = np.zeros((people, n_groups, 4), dtype=np.int64)
    if rows and result.size:
        with _on_stream(packed) as work:
            planes = _person_planes(work, packed, people)
            members = [np.packbits(groups == one, bitorder="little") for one in range(n_groups)]
            masks = np.zeros((n_groups, _WORD_BYTES * planes.shape[1]), dtype=np.uint8)
            masks[:, : members[0].size] = members
            counted = work.empty((people, n_groups, 3))
            work.launch(
                "count_person_groups",
                (_blocks(people), min(n_groups, _MOST_BLOCKS_Y)),
                planes,
                work.upload(masks.view(np.uint64)),
                people,
                planes.shape[1],
                n_groups,
                counted,
            )
            result[:, :, 1:] = counted.get()
    size = np.bincount(groups + 1, minlength=n_groups + 1)[1:]
    result[:, :, 0] = size - result[:, :, 1:].sum(axis=2)
    return result


def pair_counts(packed: HeldRows, people: int, first: range, others: range) -> PairCounts:
    """Counts over the rows called in both people of each pair, one of `first`, one of `others`."""
    result = np.zeros((_PAIR_FIELDS, len(first), len(others)), dtype=np.int64)
    if packed.shape[0] and result.size:
        with _on_stream(packed) as work:
            planes = _person_planes(work, packed, people)
            for start, stop in _steps(len(first), _PAIR_FIELDS * 8 * len(others)):
                some = first[start:stop]
                result[:, start:stop] = _pair_part(work, planes, some, others)
    return PairCounts(*result)


def block_bytes(rows: int, people: int, width: int, itemsize: int = 8) -> int:
    """Most device memory that `counts` and products of one block take, besides cuBLAS itself.

    Parameters
    ----------
    rows, people : int
        Of the block.
    width : int
        Columns of the products, or 3 for each group of people whose genotypes are counted.
    itemsize : int
        Bytes of a column's values: 8, or 4 in single precision.
    """
    padded = _PEOPLE_PER_WORD * -(-people // _PEOPLE_PER_WORD)
    packed = rows * padded // 4
    # `rmatmul` has both inputs and both results at once; so does `matmul`, with rows for people.
    columns = 2 * (rows + padded) * width * itemsize
    masks_and_lists = padded // 4 * max(1, width // 3) + 3 * 8 * rows
    return packed + max(TILE_BYTES, padded * itemsize) + columns + masks_and_lists


def require() -> None:
    """Make sure that CuPy and a device are here, and compile the kernels for it.

    Raises
    ------
    UsageError
        If CuPy is not installed, finds no CUDA device, or lacks libraries of CUDA.
    """
    _cuda()


def device_count() -> int:
    """CUDA devices that this process sees; 0 without CuPy or without a driver."""
    try:
        return _find_devices(import_module("cupy"))
    except (ImportError, RuntimeError):
        return 0


def free_device_bytes() -> int:
    """Memory of the current device that is free, or kept by CuPy for reuse."""
    cupy = _cuda().cupy
    free, _ = cupy.cuda.runtime.memGetInfo()
    return free + cupy.get_default_memory_pool().free_bytes()


@cache
def _cuda() -> _Cuda:
    try:
        cupy = import_module("cupy")
    except ImportError:
        raise UsageError(
            "the gpu backend needs CuPy: pip install 'genome_eu[cuda12]' or 'genome_eu[cuda13]', "
            "by the CUDA version that nvidia-smi shows; or compute on the cpu"
        ) from None
    try:
        devices = _find_devices(cupy)
    except RuntimeError as error:
        raise UsageError(f"{_NO_DEVICE} ({error})") from None
    if not devices:
        raise UsageError(_NO_DEVICE)
    source = files("genome_eu.kernels").joinpath("gpu.cu").read_text(encoding="utf-8")
    try:
        # Both load libraries of CUDA that CuPy does not bring along.
        gemm = import_module("cupy.cublas").gemm
        module = cupy.RawModule(code=source)
        module.compile()
    except (ImportError, OSError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"CuPy lacks libraries of CUDA here ({reason}); install the CUDA toolkit, or pip "
            f"install 'cupy-cuda12x[ctk]' or 'cupy-cuda13x[ctk]', or compute on the cpu"
        ) from None
    return _Cuda(cupy, gemm, import_module("cupyx").empty_pinned, module)


_NO_DEVICE = "the gpu backend finds no CUDA device; see what nvidia-smi shows, or use the cpu"


def _find_devices(cupy: Any) -> int:
    return int(cupy.cuda.runtime.getDeviceCount())


@contextmanager
def _on_stream(packed: HeldRows) -> Iterator[_Work]:
    """Work on the calling thread's stream, after the copy of the rows."""
    cuda = _cuda()
    with cuda.stream() as stream:
        stream.wait_event(packed.copied)
        yield _Work(cuda)


def _group_masks(groups: Array, n_groups: int, words: int) -> Array:
    """Both bits set at the people of each group; uint64, shape (n_groups, words)."""
    masks = np.zeros((n_groups, _WORD_BYTES * words), dtype=np.uint8)
    for group in range(n_groups):
        bits = np.packbits(np.repeat(groups == group, 2), bitorder="little")
        masks[group, : packed_width(len(groups))] = bits
    return masks.view(np.uint64)


def _count(work: _Work, packed: HeldRows, masks: Array) -> Array:
    """People of each group with code 1, 2 and missing; int64, shape (rows, groups, 3)."""
    (rows, words), groups = packed.shape, len(masks)
    result = work.zeros((rows, groups, 3))
    block = (_ROW_THREADS, _THREADS // _ROW_THREADS)
    work.launch(
        "count_groups",
        (-(-rows // block[1]), min(groups, _MOST_BLOCKS_Y)),
        packed.words,
        work.upload(masks),
        rows,
        words,
        groups,
        result,
        block=block,
    )
    return result.get()


def _missing_rows(work: _Work, packed: HeldRows) -> Array:
    """Rows with at least one missing call; int64."""
    if packed.missing_rows is None:
        everybody = np.full((1, packed.shape[1]), np.iinfo(np.uint64).max, dtype=np.uint64)
        packed.missing_rows = np.flatnonzero(_count(work, packed, everybody)[:, 0, 2])
    return packed.missing_rows


def _times(work: _Work, packed: HeldRows, rows: Array, plane: int, q: Any) -> Any:
    """These rows of one plane times `q`, on the device."""
    result = work.empty((len(rows), q.shape[1]), q.dtype)
    for start, stop, tile in _tiles(work, packed, rows, plane, q.dtype):
        work.multiply(False, tile, q, result[start:stop], add=False)
    return result


def _transposed_times(work: _Work, packed: HeldRows, rows: Array, plane: int, r: Array) -> Any:
    """These rows of one plane, transposed, times `r` of one row each, on the device."""
    result = work.empty((_PEOPLE_PER_WORD * packed.shape[1], r.shape[1]), r.dtype)
    columns = work.upload(r)
    for start, stop, tile in _tiles(work, packed, rows, plane, r.dtype):
        work.multiply(True, tile, columns[start:stop], result, add=start > 0)
    return result


def _tiles(
    work: _Work, packed: HeldRows, rows: Array, plane: int, dtype: np.dtype
) -> Iterator[tuple[int, int, Any]]:
    """Decoded rows from start to stop, a tile at a time in one and the same memory."""
    words = packed.shape[1]
    people = _PEOPLE_PER_WORD * words
    which = work.upload(rows)
    steps = list(_steps(len(rows), people * dtype.itemsize))
    memory = work.empty((steps[0][1], people), dtype)
    for start, stop in steps:
        n = stop - start
        work.launch(
            f"decode_{dtype.name}",
            (_blocks(people), min(n, _MOST_BLOCKS_Y)),
            packed.words,
            which[start:stop],
            n,
            words,
            np.int32(plane),
            memory,
        )
        yield start, stop, memory[:n]


def _gram_part(
    work: _Work, planes: Any, shape: tuple[int, int], rows: tuple[int, int], band: int
) -> Array:
    """All fields of the gram of some rows; int64, shape (fields, these rows, band)."""
    start, n = rows[0], rows[1] - rows[0]
    part = work.zeros((_GRAM_FIELDS, n, band))
    work.launch("fill_gram", (_blocks(n * band),), planes, *shape, start, n, band, part)
    return part.get()


def _person_planes(work: _Work, packed: HeldRows, people: int) -> Any:
    """Bit planes (3, words, people) on the device, a word for 64 rows of a person."""
    rows, words = packed.shape
    n_planes = -(-rows // _BITS_PER_WORD)
    planes = work.empty((_PLANES, n_planes, people), np.uint64)
    grid = (_blocks(people), min(n_planes, _MOST_BLOCKS_Y))
    work.launch("person_planes", grid, packed.words, rows, words, people, n_planes, planes)
    return planes


def _pair_part(work: _Work, planes: Any, first: range, others: range) -> Array:
    """All fields of the pairs of some people with others; int64, (fields, first, others)."""
    _, n_planes, people = planes.shape
    part = work.empty((_PAIR_FIELDS, len(first), len(others)))
    work.launch(
        "fill_pair_counts",
        (_blocks(len(first) * len(others)),),
        *[planes, people, n_planes],
        *[first.start, len(first), others.start, len(others)],
        part,
    )
    return part.get()


def _blocks(threads: int) -> int:
    return -(-threads // _THREADS)


def _steps(length: int, bytes_each: int) -> Iterator[tuple[int, int]]:
    """Ranges that take at most `TILE_BYTES`, or hold one of what does not fit."""
    step = max(1, TILE_BYTES // bytes_each)
    for start in range(0, length, step):
        yield start, min(start + step, length)

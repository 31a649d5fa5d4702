"""A stand-in for the few things that the gpu backend uses of CuPy, on the host.

Kernels are the same CUDA C source, compiled by the host's C++ compiler. Arrays are NumPy arrays
that offer nothing but what is used, so whatever else is tried fails. Streams are lists of work
that is done only when somebody waits; pinned memory is overwritten as soon as it is given back,
and device memory starts as garbage. A copy or a wait that is missing therefore gives wrong numbers
here, as it could on a device. It says nothing of speed, nor of what a warp does at once.
"""

from __future__ import annotations

import ctypes
import functools
import re
import shutil
import subprocess
import tempfile
import threading
import weakref
from collections import deque
from pathlib import Path
from types import SimpleNamespace

import numpy as np

COMPILER = shutil.which("g++") or shutil.which("c++") or shutil.which("clang++")

# Not a number in columns, a missing call in packed rows, -1 in counts.
_GARBAGE = 0xFF
_GRID_LIMITS = (2**31 - 1, 65535, 65535)
_THREADS_LIMIT = 1024

# One device: whoever waits does all the work, so that streams may wait for each other.
_device = threading.RLock()
_current = threading.local()
_pinned = {}


class Stream:
    def __init__(self, *, non_blocking):
        assert non_blocking, "the default stream would wait for the streams of other threads"
        self._waiting = deque()
        self._submitted = self._done = 0

    def __enter__(self):
        assert getattr(_current, "stream", None) is None, "streams are not nested"
        _current.stream = self
        return self

    def __exit__(self, *error):
        _current.stream = None

    def record(self):
        return Event(self, self._submitted)

    def wait_event(self, event):
        self._submit(event._wait)

    def _submit(self, work):
        with _device:
            self._waiting.append(work)
            self._submitted += 1

    def _wait(self, until=None):
        with _device:
            until = self._submitted if until is None else until
            while self._done < until:
                self._done += 1
                self._waiting.popleft()()


class Event:
    def __init__(self, stream, place):
        self._stream, self._place = stream, place

    def _wait(self):
        self._stream._wait(self._place)


def _stream():
    stream = getattr(_current, "stream", None)
    assert stream is not None, "work outside the thread's own stream"
    return stream


class Memory:
    """Bytes of device memory that live arrays take, and the most at any time."""

    live = peak = 0

    @classmethod
    def take(cls, array, n_bytes):
        with _device:
            cls.live += n_bytes
            cls.peak = max(cls.peak, cls.live)
        weakref.finalize(array, cls.give_back, n_bytes)

    @classmethod
    def give_back(cls, n_bytes):
        with _device:
            cls.live -= n_bytes


class DeviceArray:
    def __init__(self, values, owner=None):
        self._values, self._owner = values, owner
        if owner is None:
            Memory.take(self, values.nbytes)

    @property
    def shape(self):
        return self._values.shape

    @property
    def dtype(self):
        return self._values.dtype

    def __len__(self):
        return len(self._values)

    def __getitem__(self, part):
        assert isinstance(part, slice), f"only slices of rows are known, not [{part!r}]"
        assert part.step is None, "only neighbouring rows are known"
        return DeviceArray(self._values[part], self)

    def __array__(self, *arguments, **options):
        raise TypeError("a device array does not become a NumPy array by itself")

    def set(self, buffer):
        assert buffer.ctypes.data in _pinned, "an asynchronous copy needs pinned memory"
        assert (buffer.shape, buffer.dtype) == (self.shape, self.dtype)
        assert buffer.flags.c_contiguous
        # Not the array itself: whoever gives it must keep it.
        source, target = _pinned[buffer.ctypes.data], self._values
        source = source.view(buffer.dtype).reshape(buffer.shape)
        _stream()._submit(lambda: np.copyto(target, source))

    def get(self):
        _stream()._wait()
        return self._values.copy()


def empty_pinned(shape, dtype):
    """Memory that is garbage again once its last array is gone, copied from or not."""
    n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    assert n_bytes, "nothing to pin"
    memory = np.full(n_bytes, _GARBAGE, dtype=np.uint8)
    owner = (ctypes.c_uint8 * n_bytes).from_buffer(memory)
    address = memory.ctypes.data
    _pinned[address] = memory

    def give_back():
        del _pinned[address]
        memory.fill(_GARBAGE)

    weakref.finalize(owner, give_back)
    return np.ndarray(shape, dtype=dtype, buffer=owner)


def empty(shape, *, dtype):
    values = np.empty(shape, dtype=dtype)
    values.view(np.uint8).fill(_GARBAGE)
    return DeviceArray(values)


def zeros(shape, *, dtype):
    array = empty(shape, dtype=dtype)
    values = array._values
    _stream()._submit(lambda: values.fill(0))
    return array


def gemm(transa, transb, a, b, *, out, beta):
    assert transa in ("N", "T")
    assert transb == "N"
    assert a.dtype == b.dtype == out.dtype
    assert a.dtype in (np.float32, np.float64)
    assert beta in (0.0, 1.0)
    left, right, target = a._values, b._values, out._values
    for values in (left, right, target):
        assert values.ndim == 2
        assert values.flags.c_contiguous
        assert values.size, "CuPy's gemm hands empty matrices to cuBLAS, which refuses them"
    left = left if transa == "N" else left.T
    assert (left.shape[0], right.shape[1]) == target.shape

    def multiply():
        product = left @ right
        target[...] = product if beta == 0.0 else target + product

    _stream()._submit(multiply)


class RawModule:
    def __init__(self, *, code):
        self._code = code

    def compile(self):
        _compiled(self._code)

    def get_function(self, name):
        assert name in _kernels(self._code), f"no kernel {name}"
        return Kernel(_compiled(self._code), name)


class Kernel:
    def __init__(self, library, name):
        self._run = getattr(library, f"run_{name}")
        self._describe = getattr(library, f"describe_{name}")
        self._name = name

    def __call__(self, grid, block, arguments):
        grid, block = ((*dimensions, 1, 1)[:3] for dimensions in (grid, block))
        for size, limit in zip(grid, _GRID_LIMITS, strict=True):
            assert 1 <= size <= limit, f"{self._name}: grid {grid}"
        assert 1 <= np.prod(block) <= _THREADS_LIMIT, f"{self._name}: block {block}"
        cells = [self._cell(place, argument) for place, argument in enumerate(arguments)]
        assert self._describe(len(arguments)) == 0, f"{self._name}: too few arguments"
        pointers = (ctypes.c_void_p * len(cells))(*(cell.ctypes.data for cell in cells))
        sizes = [(ctypes.c_uint * 3)(*dimensions) for dimensions in (grid, block)]
        keep = [argument._values for argument in arguments if isinstance(argument, DeviceArray)]

        def launch(_keep=(cells, keep)):
            self._run(*sizes, pointers)

        _stream()._submit(launch)

    def _cell(self, place, argument):
        """Memory that holds the argument: a number, or where an array lies."""
        size, is_pointer = divmod(self._describe(place), 2)
        where = f"{self._name}, argument {place}"
        if isinstance(argument, DeviceArray):
            assert is_pointer, f"{where}: a number is wanted"
            assert argument.dtype.itemsize == size, f"{where}: {argument.dtype}"
            assert argument._values.flags.c_contiguous, f"{where}: not contiguous"
            return np.array(argument._values.ctypes.data, dtype=np.uintp)
        assert isinstance(argument, np.integer), f"{where}: {type(argument)}"
        assert not is_pointer, f"{where}: an array is wanted"
        assert argument.dtype.itemsize == size, f"{where}: {argument.dtype}"
        return np.array(argument)


def _kernels(code):
    return re.findall(r"__global__ void (\w+)\(", code)


@functools.cache
def _compiled(code):
    exports = "".join(f"EXPORT({name})\n" for name in _kernels(code))
    shim = Path(__file__).with_name("gpu_host.h").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "kernels.cpp", Path(folder) / "kernels.so"
        source.write_text(f"{shim}\n{code}\n{exports}", encoding="utf-8")
        options = ["-std=c++17", "-O1", "-Wall", "-shared", "-fPIC"]
        subprocess.run([COMPILER, *options, str(source), "-o", str(library)], check=True)
        return ctypes.CDLL(str(library))


cupy = SimpleNamespace(
    RawModule=RawModule,
    empty=empty,
    zeros=zeros,
    cuda=SimpleNamespace(
        Stream=Stream,
        runtime=SimpleNamespace(
            getDevice=lambda: 0,
            getDeviceCount=lambda: 1,
            memGetInfo=lambda: (2**30, 2**31),
        ),
    ),
    get_default_memory_pool=lambda: SimpleNamespace(free_bytes=lambda: 2**20),
)

#: To be put into `sys.modules`.
MODULES = {
    "cupy": cupy,
    "cupy.cublas": SimpleNamespace(gemm=gemm),
    "cupyx": SimpleNamespace(empty_pinned=empty_pinned),
}

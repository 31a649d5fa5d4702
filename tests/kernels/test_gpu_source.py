"""The CUDA C source compiles for GPUs, and the stand-in for CuPy keeps to what CuPy has.

Neither needs a device: NVRTC and nvcc compile without one, and CuPy can be imported.
"""

from __future__ import annotations

import ast
import ctypes
import importlib.util
import inspect
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from genome_eu.kernels import gpu
from tests.kernels import gpu_stand_in as stand_in

SOURCE = files("genome_eu.kernels").joinpath("gpu.cu")
KERNELS = {
    "count_groups",
    "count_person_groups",
    "decode_float32",
    "decode_float64",
    "fill_gram",
    "fill_pair_counts",
    "person_planes",
    "row_planes",
}


def nvrtc_libraries() -> list[Path]:
    """NVRTC of the packages nvidia-cuda-nvrtc (CUDA 13) and nvidia-cuda-nvrtc-cu12."""
    package = importlib.util.find_spec("nvidia")
    if package is None:
        return []
    return sorted(
        library
        for folder in package.submodule_search_locations or []
        for library in Path(folder).glob("*/lib/libnvrtc.so.*")
        if re.search(r"\.so\.\d+$", library.name)
    )


class Nvrtc:
    """Just enough of NVRTC's interface to compile one source."""

    def __init__(self, library: Path) -> None:
        # It looks for this by name only, which finds one that is loaded already.
        for builtins in library.parent.glob("libnvrtc-builtins.so.*"):
            ctypes.CDLL(str(builtins))
        self._library = ctypes.CDLL(str(library))

    def ptx(self, source: str, *options: str) -> str:
        program = ctypes.c_void_p()
        self._call("CreateProgram", ctypes.byref(program), source.encode(), None, 0, None, None)
        encoded = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        failed = self._library.nvrtcCompileProgram(program, len(options), encoded)
        assert not failed, self._text("ProgramLog", program)
        return self._text("PTX", program)

    def _text(self, what: str, program: ctypes.c_void_p) -> str:
        size = ctypes.c_size_t()
        self._call(f"Get{what}Size", program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        self._call(f"Get{what}", program, text)
        return text.value.decode()

    def _call(self, name: str, *arguments) -> None:
        assert getattr(self._library, f"nvrtc{name}")(*arguments) == 0, name


def entries(ptx: str) -> set[str]:
    return set(re.findall(r"\.visible \.entry (\w+)\(", ptx))


@pytest.mark.parametrize("architecture", [75, 80, 90])
def test_nvrtc_compiles_the_source(architecture):
    libraries = nvrtc_libraries()
    if not libraries:
        pytest.skip("needs NVRTC (pip install nvidia-cuda-nvrtc)")
    for library in libraries:
        # The options that CuPy gives.
        ptx = Nvrtc(library).ptx(
            SOURCE.read_text(), "-std=c++17", f"--gpu-architecture=compute_{architecture}"
        )
        assert entries(ptx) == KERNELS


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs nvcc on the path")
def test_nvcc_compiles_the_source_to_machine_code(tmp_path):
    options = ["-arch=sm_90", "-std=c++17", "--cubin", "-Xptxas=-v", "-Werror=all-warnings"]
    made = subprocess.run(
        ["nvcc", *options, "-o", str(tmp_path / "gpu.cubin"), str(SOURCE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    report = made.stdout + made.stderr
    assert set(re.findall(r"Compiling entry function '(\w+)'", report)) == KERNELS
    assert set(re.findall(r"(\d+) bytes spill", report)) == {"0"}


def test_every_kernel_that_is_launched_is_in_the_source():
    launched = set(re.findall(r"\"(\w+)\"", Path(gpu.__file__).read_text())) & KERNELS
    assert launched | {"decode_float32", "decode_float64"} == KERNELS
    assert set(stand_in._kernels(SOURCE.read_text())) == KERNELS


class TestStandIn:
    """It has nothing that CuPy lacks, and refuses what it does not know."""

    def test_names_and_arguments_are_those_of_cupy(self):
        cupy = pytest.importorskip("cupy", reason="needs CuPy; no device")
        cupyx = pytest.importorskip("cupyx")
        for name in ("RawModule", "empty", "zeros", "get_default_memory_pool"):
            assert callable(getattr(cupy, name))
        assert {"set", "get", "shape", "dtype"} <= set(dir(cupy.ndarray))
        assert {"record", "wait_event", "__enter__", "__exit__"} <= set(dir(cupy.cuda.Stream))
        for name in vars(stand_in.cupy.cuda.runtime):
            assert callable(getattr(cupy.cuda.runtime, name))
        given = set(inspect.signature(stand_in.empty_pinned).parameters)
        assert given <= set(inspect.signature(cupyx.empty_pinned).parameters)
        # Importing this would load cuBLAS.
        cublas = ast.parse(Path(cupy.__file__).with_name("cublas.py").read_text())
        (gemm,) = (node for node in cublas.body if getattr(node, "name", None) == "gemm")
        parameters = {argument.arg for argument in gemm.args.args}
        assert set(inspect.signature(stand_in.gemm).parameters) <= parameters
        assert "free_bytes" in dir(cupy.get_default_memory_pool())

    @pytest.mark.skipif(stand_in.COMPILER is None, reason="needs a C++ compiler on the path")
    class TestRefuses:
        @pytest.fixture
        def kernel(self):
            module = stand_in.RawModule(code=SOURCE.read_text())
            with pytest.raises(AssertionError, match="no kernel fill_gramm"):
                module.get_function("fill_gramm")
            return module.get_function("fill_pair_counts")

        @pytest.fixture
        def arguments(self):
            planes = stand_in.empty((3, 1, 4), dtype=np.uint64)
            result = stand_in.empty((5, 4, 4), dtype=np.int64)
            return [planes, *(np.int64(n) for n in (4, 1, 0, 4, 0, 4)), result]

        @pytest.mark.parametrize(
            ("place", "wrong", "message"),
            [
                (0, np.int64(1), "argument 0: an array is wanted"),
                (1, np.int32(4), "argument 1: int32"),
                (1, 4, "argument 1: <class 'int'>"),
                (7, np.int64(4), "argument 7: an array is wanted"),
            ],
        )
        def test_arguments_of_another_kind(self, kernel, arguments, place, wrong, message):
            arguments[place] = wrong
            with pytest.raises(AssertionError, match=message):
                kernel((1,), (32,), tuple(arguments))

        def test_arrays_of_another_width(self, kernel, arguments):
            arguments[0] = stand_in.empty((3, 1, 4), dtype=np.uint32)
            with pytest.raises(AssertionError, match="argument 0: uint32"):
                kernel((1,), (32,), tuple(arguments))

        def test_too_few_arguments(self, kernel, arguments):
            with pytest.raises(AssertionError, match="too few arguments"):
                kernel((1,), (32,), tuple(arguments[:-1]))

        @pytest.mark.parametrize(
            ("grid", "block"), [((0,), (32,)), ((1, 65536), (32,)), ((1,), (2048,))]
        )
        def test_launches_that_a_device_refuses(self, kernel, arguments, grid, block):
            with pytest.raises(AssertionError, match="grid|block"):
                kernel(grid, block, tuple(arguments))

        def test_work_outside_a_stream(self, kernel, arguments):
            with pytest.raises(AssertionError, match="outside the thread's own stream"):
                kernel((1,), (32,), tuple(arguments))

        def test_arrays_that_are_used_as_if_they_were_here(self):
            array = stand_in.empty((3, 4), dtype=np.float64)
            with pytest.raises(TypeError, match="does not become a NumPy array"):
                np.asarray(array)
            with pytest.raises(AssertionError, match="only slices of rows"):
                array[0, 1]
            with pytest.raises(TypeError):
                array + array
            with pytest.raises(AttributeError):
                array.sum()

        def test_a_copy_from_memory_that_is_not_pinned(self):
            array = stand_in.empty((3,), dtype=np.float64)
            with (
                stand_in.Stream(non_blocking=True),
                pytest.raises(AssertionError, match="needs pinned memory"),
            ):
                array.set(np.zeros(3))

        def test_memory_given_back_before_its_copy_is_garbage(self):
            array = stand_in.empty((3,), dtype=np.float64)
            with stand_in.Stream(non_blocking=True):
                buffer = stand_in.empty_pinned((3,), dtype=np.float64)
                buffer[:] = 1.0
                array.set(buffer)
                del buffer
                assert np.isnan(array.get()).all()

        def test_a_stream_that_does_not_wait_reads_garbage(self):
            array = stand_in.empty((3,), dtype=np.float64)
            buffer = stand_in.empty_pinned((3,), dtype=np.float64)
            buffer[:] = 1.0
            with stand_in.Stream(non_blocking=True) as first:
                array.set(buffer)
                copied = first.record()
            with stand_in.Stream(non_blocking=True) as second:
                assert np.isnan(array.get()).all()
                second.wait_event(copied)
                np.testing.assert_array_equal(array.get(), 1.0)

"""Where a store lies: a folder, or a URL that fsspec reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import zarr

from genome_eu.cohort.arrays import ZARR_2
from genome_eu.errors import SourceError

_MARKERS = (".zmetadata", ".zgroup", "zarr.json")


def located(path: str | Path) -> Path | str:
    """A folder as a Path, and any other URL than one of a file as it is."""
    if isinstance(path, Path) or "://" not in path:
        return Path(path)
    url = urlsplit(path)
    return Path(url2pathname(url.path)) if url.scheme == "file" else path.rstrip("/")


def file_name(path: Path | str) -> str:
    """The last part of a path or URL."""
    return path.name if isinstance(path, Path) else path.rpartition("/")[2]


def bytes_in(path: Path | str, *parts: str) -> int | None:
    """Bytes of the files of a folder; of a URL, None, since it might need a request for each."""
    if isinstance(path, str):
        return None
    files = path.joinpath(*parts).rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def open_root(path: Path | str) -> Any:
    """The Zarr group at a path or URL, for reading.

    Raises
    ------
    SourceError
        If there is none, or it cannot be reached or opened.
    """
    return _open_url(path) if isinstance(path, str) else _open_folder(path)


def _open_folder(path: Path) -> Any:
    if not path.exists():
        raise SourceError(f"{path}: no such cohort; make one with `genome-eu import`.")
    if not any((path / marker).is_file() for marker in _MARKERS):
        raise SourceError(f"{path} is not a cohort store; make one with `genome-eu import`.")
    try:
        return zarr.open_group(str(path), mode="r")
    except Exception as error:
        raise SourceError(
            f"{path} cannot be opened as Zarr; import the cohort again with `genome-eu import`."
        ) from error


def _open_url(url: str) -> Any:
    import fsspec  # type: ignore[import-untyped]

    try:
        files, root = fsspec.core.url_to_fs(url)
        there = any(files.exists(f"{root}/{marker}") for marker in _MARKERS)
    except (ImportError, ValueError) as error:  # a protocol without its package, or unknown
        raise SourceError(f"{url} cannot be read: {_first_line(error)}.") from error
    except Exception as error:
        raise SourceError(
            f"{url} cannot be reached ({_first_line(error)}); check the URL and who may read it."
        ) from error
    if not there:
        raise SourceError(f"{url}: no such cohort; copy one there, or check the URL.")
    try:
        # One request brings the metadata of all arrays; zarr 3 asks for it by itself.
        return zarr.open_consolidated(url, mode="r") if ZARR_2 else zarr.open_group(url, mode="r")
    except Exception as error:
        raise SourceError(f"{url} cannot be opened as Zarr; copy the store there again.") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")

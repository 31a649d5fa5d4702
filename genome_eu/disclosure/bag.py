"""BagIt: a folder whose files are listed with their digests (RFC 8493)."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path

from genome_eu._version import __version__


def write_tags(folder: Path, name: uuid.UUID) -> None:
    """Make a bag of a folder whose payload lies in `data`.

    Parameters
    ----------
    folder : path
        Gets the tag files.
    name : UUID
        Names the bag wherever it goes.
    """
    (folder / "bagit.txt").write_text("BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
    (folder / "bag-info.txt").write_text(
        f"Bag-Software-Agent: genome_eu {__version__}\nExternal-Identifier: urn:uuid:{name}\n"
    )
    payload = sorted(path for path in (folder / "data").rglob("*") if path.is_file())
    _write_manifest(folder, "manifest-sha512.txt", payload)
    tags = [folder / tag for tag in ("bag-info.txt", "bagit.txt", "manifest-sha512.txt")]
    _write_manifest(folder, "tagmanifest-sha512.txt", tags)


def _write_manifest(folder: Path, name: str, paths: list[Path]) -> None:
    lines = []
    for path in paths:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha512").hexdigest()
        lines.append(f"{digest}  {path.relative_to(folder).as_posix()}\n")
    (folder / name).write_text("".join(lines))

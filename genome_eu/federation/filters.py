"""Filter files: read, and put together with what the command line says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from genome_eu.errors import BadInput, UsageError
from genome_eu.federation.parameters.filters import Filters, PeopleFilters, VariantFilters
from genome_eu.toml import parsed


def read_filters(path: str | Path) -> Filters:
    """Read a filter file.

    Parameters
    ----------
    path : path
        TOML with tables ``[people]`` (`PeopleFilters`) and ``[variants]`` (`VariantFilters`).

    Raises
    ------
    BadInput
        There is none, it is not TOML, or a limit is unknown or out of its bounds.
    """
    path = Path(path)
    try:
        said = parsed(path.read_text(encoding="utf-8"))
    except OSError:
        raise BadInput(f"filter file {path} cannot be read; check the path") from None
    except ValueError as error:
        raise BadInput(f"filter file {path} is not TOML: {error}") from None
    try:
        return Filters.model_validate(said)
    except ValidationError as error:
        raise BadInput(f"filter file {path}: {_first(error)}") from None


def as_filters(
    given: Filters | Mapping[str, Any] | str | Path, unrelated: float | None = None
) -> Filters:
    """Filters of a file, or as they are; `unrelated` in place of theirs where it is given.

    Raises
    ------
    BadInput, UsageError
        The file, or a limit, is not valid.
    """
    if isinstance(given, str | Path):
        given = read_filters(given)
    try:
        found = given if isinstance(given, Filters) else Filters.model_validate(dict(given))
        if unrelated is None:
            return found
        said = found.model_dump()
        return Filters.model_validate(said | {"people": said["people"] | {"unrelated": unrelated}})
    except ValidationError as error:
        raise UsageError(f"filters: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    what = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        what = f"there is no such limit; there are {_known()}"
    return f"{where}: {what}" if where else what


def _known() -> str:
    """The tables of a filter file and their limits."""
    tables: dict[str, type[BaseModel]] = {"people": PeopleFilters, "variants": VariantFilters}
    return "; ".join(f"{name}: {', '.join(table.model_fields)}" for name, table in tables.items())

"""A cohort store as it is opened: what it says of itself, its people, and what is damaged."""

from __future__ import annotations

import hashlib
import secrets
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.cohort.arrays import CheckedArray
from genome_eu.cohort.chunks import CheckedRows
from genome_eu.cohort.dosages import DOSAGES
from genome_eu.cohort.location import file_name, located, open_root
from genome_eu.cohort.packing import FORMAT, GROUP, cohort_digest, genotype_digest
from genome_eu.cohort.samples import from_parquet_bytes
from genome_eu.errors import GenomeEuError, SourceError

AGAIN = "import the cohort again with `genome-eu import`"


class OpenedStore:
    """A store whose facts and people have been read; its arrays are checked when they are.

    Its attributes are those of `CohortStore`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = located(path)
        self._file_name = file_name(self.path)
        self.name = Path(self._file_name).stem
        self._root = open_root(self.path)
        self._facts = _packed_facts(self.path, self._root)
        try:
            self.build: str = self._facts["build"]
            self.people: int = self._facts["people"]
            self.n_rows: int = self._facts["rows"]
            self.block_rows: int = self._facts["block_rows"]
            self.digest: str = self._facts["digest"]
            self.genotype_digest: str = self._facts["genotype_digest"]
            self._packed = self._checked_rows("packed")
            self._dosages = self._checked_rows(DOSAGES) if self.has_dosages else None
            self.opening = secrets.token_hex(8)
        except KeyError as error:
            raise self._damaged(f"{GROUP} (no {error.args[0]})") from error
        except Exception as error:
            raise self._damaged(f"{GROUP}/packed_digest") from error
        expected = (self.n_rows, -(-self.people // 4))
        if self._packed.shape != expected or self._packed.chunk_rows != self.block_rows:
            raise self._damaged(f"{GROUP}/packed (shape {self._packed.shape}, not {expected})")
        expected = (self.n_rows, self.people)
        if self._dosages is not None and self._dosages.shape != expected:
            raise self._damaged(f"{GROUP}/{DOSAGES} (shape {self._dosages.shape}, not {expected})")
        self.sample_id: NDArray[np.str_] = self._read_sample_id()

    @property
    def has_dosages(self) -> bool:
        """Whether the source was imputed, and its dosages are here."""
        return f"{DOSAGES}_sha256" in self._facts

    @cached_property
    def samples(self) -> pd.DataFrame:
        """What is known of the people.

        Raises
        ------
        SourceError
            If the table is not of the people in the store.
        """
        try:
            stored = np.asarray(self._root[GROUP]["samples_parquet"][:])
            sound = hashlib.sha256(stored.data).hexdigest() == self._facts["samples_parquet_sha256"]
            table = from_parquet_bytes(stored.tobytes()) if sound else None
        except Exception as error:
            raise self._damaged("its table of people") from error
        if table is None or table.index.tolist() != self.sample_id.tolist():
            raise self._damaged("its table of people")
        return table

    def _read_sample_id(self) -> NDArray[np.str_]:
        try:
            ids = [str(one) for one in self._root["sample_id"][:]]
        except Exception as error:
            raise self._damaged("its table of people") from error
        facts = self._facts
        if (
            genotype_digest(ids, facts) != facts["genotype_digest"]
            or cohort_digest(facts) != facts["digest"]
        ):
            raise self._damaged("its table of people")
        return np.array(ids, dtype=np.str_)

    def _checked(self, name: str) -> CheckedArray:
        return CheckedArray(self._root[GROUP][name], self._facts[f"{name}_sha256"])

    def _checked_rows(self, name: str) -> CheckedRows:
        folder = self.path / GROUP if isinstance(self.path, Path) else None
        return CheckedRows(self._root[GROUP], name, folder, self._damaged, self._replaced)

    def _replaced(self) -> SourceError | None:
        """The error to raise if another import lies under this store's name by now."""
        try:
            if type(self)(self.path).digest == self.digest:
                return None
        except GenomeEuError:
            return None
        return SourceError(
            f"cohort {self.path} was imported again while it was in use; ask the question again"
        )

    def _damaged(self, what: str) -> SourceError:
        return SourceError(
            f"cohort {self._file_name}: {what} is damaged or absent; copy the store again from a "
            f"good copy, or {AGAIN}."
        )


def _packed_facts(path: Path | str, root: Any) -> dict[str, Any]:
    try:
        facts = dict(root[GROUP].attrs)
    except KeyError:
        facts = {}
    except Exception as error:
        raise SourceError(f"{path} has unreadable metadata; {AGAIN}.") from error
    if "format" not in facts:
        raise SourceError(
            f"{path} is Zarr without packed rows, made by another tool; import its VCF, BCF or "
            "PLINK source with `genome-eu import`."
        )
    if facts["format"] != FORMAT:
        raise SourceError(
            f"{path} has packed rows of format {facts['format']}, but this version reads format "
            f"{FORMAT}; {AGAIN}."
        )
    return facts

"""Tables of an association, one text file for each trait, as PLINK 2 and REGENIE write them.

Columns, separators and numbers (six significant digits) are those of PLINK 2.00a3.5 and of
REGENIE's second step. The tested allele (A1, ALLELE1) is always ALT.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import ClassVar, TypeAlias

import numpy as np
import pyarrow as pa
import xarray as xr

from genome_eu.atomic import AtomicFile
from genome_eu.errors import BadInput, UsageError
from genome_eu.formats.rows import (
    RowNames,
    Shard,
    association,
    place_of,
    require,
    trait_names,
    words_of,
)
from genome_eu.formats.streams import ResultWriter, write_lines
from genome_eu.formats.text import (
    constant,
    header,
    integers,
    joined,
    masked,
    p_values,
    significant,
    tab_separated,
    words,
)

_PLINK_ROWS = ("#CHROM", "POS", "ID", "REF", "ALT", "A1")
GLM_LINEAR = (
    *_PLINK_ROWS,
    *("A1_FREQ", "TEST", "OBS_CT", "BETA", "SE", "T_STAT", "P", "ERRCODE"),
)
GLM_LOGISTIC = (
    *_PLINK_ROWS,
    *("A1_FREQ", "FIRTH?", "TEST", "OBS_CT", "OR", "LOG(OR)_SE", "Z_STAT", "P", "ERRCODE"),
)
_REGENIE_ROWS = ("CHROM", "GENPOS", "ID", "ALLELE0", "ALLELE1")
REGENIE = (
    *_REGENIE_ROWS,
    *("A1FREQ", "A1FREQ_CASES", "A1FREQ_CONTROLS", "N", "N_CASES", "N_CONTROLS", "TEST"),
    *("BETA", "SE", "CHISQ", "LOG10P", "EXTRA"),
)
_OF_CLASSES = ("_CASES", "_CONTROLS")
_NUMBERS = {"X": "23", "Y": "24", "MT": "26"}


class _Tests:
    """The tests of a shard, one trait at a time."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self.codes, self.meanings = shard.codes
        self.fit = self.codes == place_of(self.meanings, ".")
        self.withheld = self.codes == place_of(self.meanings, "WITHHELD")

    def fitted(self, name: str, trait: int) -> np.ndarray:
        """Numbers of a trait, NaN where there is no test, shape (rows,)."""
        return np.where(self.fit[:, trait], self.shard.of_trait(name, trait), np.nan)

    @cached_property
    def penalized(self) -> tuple[np.ndarray, list[str]]:
        """The method of each test, as places in a list that says Y of the penalized ones."""
        methods, names = words_of(self.shard.dataset, "method")
        return methods, ["Y" if name.startswith("firth") else "N" for name in names]

    def of_all_traits(self, name: str) -> bool:
        """Whether a variable is the same for all traits, being broadcast over them."""
        dataset = self.shard.dataset
        withheld = bool((self.withheld == self.withheld[:, :1]).all())
        return withheld and dataset[f"{association(dataset)}_{name}"].values.strides[1] == 0


_Column: TypeAlias = Callable[[_Tests, int], pa.Array]


def _number(name: str, change: Callable[[np.ndarray], np.ndarray] = np.asarray) -> _Column:
    return lambda tests, trait: significant(change(tests.fitted(name, trait)))


def _frequency(tests: _Tests, trait: int) -> pa.Array:
    frequency = tests.shard.of_trait("allele_frequency", trait)
    hidden = tests.withheld[:, trait] | (frequency < 0)
    return masked(significant(frequency, missing="nan"), hidden)


def _frequency_or_na(name: str) -> _Column:
    return lambda tests, trait: significant(tests.shard.of_trait(name, trait).astype(float))


def _people(name: str) -> _Column:
    def column(tests: _Tests, trait: int) -> pa.Array:
        people = tests.shard.of_trait(name, trait).astype(np.int64)
        return masked(integers(people), tests.withheld[:, trait])

    return column


def _p(tests: _Tests, trait: int) -> pa.Array:
    return p_values(tests.fitted("p_value", trait), tests.fitted("neg_log10_p", trait))


def _errcode(tests: _Tests, trait: int) -> pa.Array:
    return words(tests.codes[:, trait], tests.meanings)


def _extra(tests: _Tests, trait: int) -> pa.Array:
    return words(tests.codes[:, trait], ["NA" if word == "." else word for word in tests.meanings])


def _penalized(tests: _Tests, trait: int) -> pa.Array:
    methods, said = tests.penalized
    return words(methods[:, trait], said)


def _chisq(tests: _Tests, trait: int) -> pa.Array:
    linear = association(tests.shard.dataset) == "variant_linreg"
    return significant(tests.fitted("t_value" if linear else "z_value", trait) ** 2)


def _additive(tests: _Tests, trait: int) -> pa.Array:
    return constant("ADD", len(tests.codes))


# What each column beside the rows' own holds.
_COLUMNS: Mapping[str, _Column] = {
    "A1_FREQ": _frequency,
    "A1FREQ": _frequency_or_na("allele_frequency"),
    "A1FREQ_CASES": _frequency_or_na("allele_frequency_cases"),
    "A1FREQ_CONTROLS": _frequency_or_na("allele_frequency_controls"),
    "FIRTH?": _penalized,
    "TEST": _additive,
    "OBS_CT": _people("n"),
    "N": _people("n"),
    "N_CASES": _people("n_cases"),
    "N_CONTROLS": _people("n_controls"),
    "BETA": _number("beta"),
    "OR": _number("beta", np.exp),
    "SE": _number("se"),
    "LOG(OR)_SE": _number("se"),
    "T_STAT": _number("t_value"),
    "Z_STAT": _number("z_value"),
    "CHISQ": _chisq,
    "P": _p,
    "LOG10P": _number("neg_log10_p"),
    "ERRCODE": _errcode,
    "EXTRA": _extra,
}
# Columns that are of the people and not of the trait: many traits may share them.
_SHARED = {"A1_FREQ": "allele_frequency", "A1FREQ": "allele_frequency", "OBS_CT": "n", "N": "n"}


class _TraitTables(ResultWriter):
    """One text file for each trait, all with the same columns.

    Parameters
    ----------
    stem : path
        Folder and beginning of the file names.
    """

    ending: ClassVar[str]
    #: How many of the columns name the row.
    of_rows: ClassVar[int]

    def __init__(self, stem: str | os.PathLike[str]) -> None:
        super().__init__()
        self.stem = Path(stem)
        self._of_trait: dict[str, AtomicFile] = {}

    @abstractmethod
    def _columns(self, dataset: xr.Dataset) -> tuple[str, ...]:
        """Names of the columns; raises `BadInput` where the result does not have them."""

    def _header(self, columns: tuple[str, ...]) -> bytes:
        return header(columns)

    def _names(self, rows: RowNames) -> pa.Array:
        """The columns that name rows, as one."""
        columns = [rows.contig, integers(rows.position), rows.id, rows.ref, rows.alt, rows.alt]
        return joined(columns, self.stem.name)

    def _write(self, file: AtomicFile, columns: list[pa.Array], trait: str) -> None:
        write_lines(file, tab_separated(columns, f"trait {trait}"))

    def _append(self, shard: Shard) -> None:
        columns = self._columns(shard.dataset)
        traits = trait_names(shard.dataset)
        if not self._of_trait:
            for trait in traits:
                file = self._create(file_of_trait(self.stem, trait, self.ending))
                file.write(self._header(columns))
                self._of_trait[trait] = file
        if traits != list(self._of_trait):
            raise BadInput(
                f"a shard has the traits {', '.join(traits)}, the first one had "
                f"{', '.join(self._of_trait)}. Append shards of one result only."
            )
        tests, numbers = _Tests(shard), columns[self.of_rows :]
        first = self._names(shard.names)
        shared = _shared_by_traits(tests, numbers)
        if shared:
            first = joined([first, *(_COLUMNS[name](tests, 0) for name in shared)], "OBS_CT")
        for index, (trait, file) in enumerate(self._of_trait.items()):
            own = [_COLUMNS[name](tests, index) for name in numbers[len(shared) :]]
            self._write(file, [first, *own], trait)

    def _finish(self) -> list[Path]:
        return [file.target for file in self._files]


def _shared_by_traits(tests: _Tests, columns: tuple[str, ...]) -> list[str]:
    """The first columns, as far as they are the same for all traits."""
    if tests.codes.shape[1] == 1:
        return []
    return list(
        takewhile(
            lambda name: name == "TEST" or (name in _SHARED and tests.of_all_traits(_SHARED[name])),
            columns,
        )
    )


class GlmLinearWriter(_TraitTables):
    """``<stem>.<trait>.glm.linear``, one file for each trait; A1 is always ALT.

    Parameters
    ----------
    stem : path
        Folder and beginning of the file names.
    """

    ending = ".glm.linear"
    of_rows = len(_PLINK_ROWS)

    def _columns(self, dataset: xr.Dataset) -> tuple[str, ...]:
        require(dataset, ["variant_linreg_beta", "variant_linreg_errcode"])
        return GLM_LINEAR


class GlmLogisticWriter(_TraitTables):
    """``<stem>.<trait>.glm.logistic.hybrid``, one file for each trait; A1 is always ALT.

    ``FIRTH?`` is Y where the numbers come from a penalized likelihood. The parameters are those of
    `GlmLinearWriter`.
    """

    ending = ".glm.logistic.hybrid"
    of_rows = len(_PLINK_ROWS)

    def _columns(self, dataset: xr.Dataset) -> tuple[str, ...]:
        require(dataset, ["variant_logreg_beta", "variant_logreg_errcode"])
        return GLM_LOGISTIC


class RegenieWriter(_TraitTables):
    """``<stem>.<trait>.regenie``, one file for each trait, as REGENIE's second step writes it.

    ALLELE1, the effect allele, is always ALT. A row without a test has NA, and its errcode under
    EXTRA. The parameters are those of `GlmLinearWriter`.
    """

    ending = ".regenie"
    of_rows = len(_REGENIE_ROWS)

    def _columns(self, dataset: xr.Dataset) -> tuple[str, ...]:
        binary = association(dataset) == "variant_logreg"
        return tuple(name for name in REGENIE if binary or not name.endswith(_OF_CLASSES))

    def _header(self, columns: tuple[str, ...]) -> bytes:
        return _spaced(header(columns))

    def _names(self, rows: RowNames) -> pa.Array:
        contigs = [_NUMBERS.get(name, name) for name in rows.contig.dictionary.to_pylist()]
        contig = words(rows.contig.indices.to_numpy(), contigs)
        return joined([contig, integers(rows.position), rows.id, rows.ref, rows.alt], "the rows")

    def _write(self, file: AtomicFile, columns: list[pa.Array], trait: str) -> None:
        lines = tab_separated(columns, f"trait {trait}")
        write_lines(file, (memoryview(_spaced(bytes(some))) for some in lines))


def _spaced(lines: bytes) -> bytes:
    return lines.replace(b"\t", b" ")


def file_of_trait(stem: Path, trait: str, ending: str) -> Path:
    """``<stem>.<trait><ending>``, refusing traits that would name another folder."""
    if not trait or any(mark in trait for mark in "/\\\0\n\t"):
        raise UsageError(f"the trait {trait!r} cannot be part of a file name. Rename it.")
    return stem.with_name(f"{stem.name}.{trait}{ending}")

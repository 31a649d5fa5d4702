"""Tables of a logistic association, as PLINK 2 and REGENIE write them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from genome_eu.atomic import AtomicFile
from genome_eu.errors import BadInput
from genome_eu.formats.plink import file_of_trait, place_of, write_lines
from genome_eu.formats.rows import Shard, association, require, trait_names, words_of
from genome_eu.formats.streams import ResultWriter
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

GLM_LOGISTIC = (
    "#CHROM",
    "POS",
    "ID",
    "REF",
    "ALT",
    "A1",
    "A1_FREQ",
    "FIRTH?",
    "TEST",
    "OBS_CT",
    "OR",
    "LOG(OR)_SE",
    "Z_STAT",
    "P",
    "ERRCODE",
)
REGENIE = (
    "CHROM",
    "GENPOS",
    "ID",
    "ALLELE0",
    "ALLELE1",
    "A1FREQ",
    "A1FREQ_CASES",
    "A1FREQ_CONTROLS",
    "N",
    "N_CASES",
    "N_CONTROLS",
    "TEST",
    "BETA",
    "SE",
    "CHISQ",
    "LOG10P",
    "EXTRA",
)
_OF_CLASSES = ("_CASES", "_CONTROLS")
_NUMBERS = {"X": "23", "Y": "24", "MT": "26"}


class GlmLogisticWriter(ResultWriter):
    """``<stem>.<trait>.glm.logistic.hybrid``, one file for each trait; A1 is always ALT.

    ``FIRTH?`` is Y where the numbers come from a penalized likelihood.

    Parameters
    ----------
    stem : path
        Folder and beginning of the file names.
    """

    def __init__(self, stem: str | os.PathLike[str]) -> None:
        super().__init__()
        self.stem = Path(stem)
        self._of_trait: dict[str, AtomicFile] = {}

    def _append(self, shard: Shard) -> None:
        dataset = shard.dataset
        require(dataset, ["variant_logreg_beta", "variant_logreg_errcode"])
        traits = trait_names(dataset)
        if not self._of_trait:
            for trait in traits:
                file = self._create(file_of_trait(self.stem, trait, ".glm.logistic.hybrid"))
                file.write(header(GLM_LOGISTIC))
                self._of_trait[trait] = file
        _require_same(traits, list(self._of_trait))
        rows = shard.names
        shared = joined(
            [rows.contig, integers(rows.position), rows.id, rows.ref, rows.alt, rows.alt],
            self.stem.name,
        )
        codes, meanings = shard.codes
        methods, names = words_of(dataset, "method")
        penalized = np.array(["N", "Y"])[np.array([n.startswith("firth") for n in names], int)]
        withheld = codes == place_of(meanings, "WITHHELD")
        fit = codes == place_of(meanings, ".")
        for index, (trait, file) in enumerate(self._of_trait.items()):
            beta, se, z, p, exact = (
                np.where(fit[:, index], shard.of_trait(name, index), np.nan)
                for name in ("beta", "se", "z_value", "p_value", "neg_log10_p")
            )
            frequency = shard.of_trait("allele_frequency", index)
            hidden = withheld[:, index]
            columns = [
                shared,
                masked(significant(frequency, missing="nan"), hidden | (frequency < 0)),
                words(methods[:, index], penalized.tolist()),
                constant("ADD", len(rows)),
                masked(integers(shard.of_trait("n", index)), hidden),
                *(significant(values) for values in (np.exp(beta), se, z)),
                p_values(p, exact),
                words(codes[:, index], meanings),
            ]
            write_lines(file, tab_separated(columns, f"trait {trait}"))

    def _finish(self) -> list[Path]:
        return [file.target for file in self._files]


class RegenieWriter(ResultWriter):
    """``<stem>.<trait>.regenie``, one file for each trait, as REGENIE's second step writes it.

    ALLELE1, the effect allele, is always ALT. A row without a test has NA, and its errcode under
    EXTRA.

    Parameters
    ----------
    stem : path
        Folder and beginning of the file names.
    """

    def __init__(self, stem: str | os.PathLike[str]) -> None:
        super().__init__()
        self.stem = Path(stem)
        self._of_trait: dict[str, AtomicFile] = {}

    def _append(self, shard: Shard) -> None:
        dataset = shard.dataset
        binary = association(dataset) == "variant_logreg"
        traits = trait_names(dataset)
        if not self._of_trait:
            names = [name for name in REGENIE if binary or not name.endswith(_OF_CLASSES)]
            for trait in traits:
                file = self._create(file_of_trait(self.stem, trait, ".regenie"))
                file.write(header(names).replace(b"\t", b" "))
                self._of_trait[trait] = file
        _require_same(traits, list(self._of_trait))
        rows = shard.names
        contigs = [_NUMBERS.get(name, name) for name in rows.contig.dictionary.to_pylist()]
        contig = words(rows.contig.indices.to_numpy(), contigs)
        names = joined([contig, integers(rows.position), rows.id, rows.ref, rows.alt], "the rows")
        codes, meanings = shard.codes
        words_there = ["NA" if word == "." else word for word in meanings]
        fit = codes == place_of(meanings, ".")
        hidden = codes == place_of(meanings, "WITHHELD")
        classes = ("", "_cases", "_controls") if binary else ("",)
        for index, (trait, file) in enumerate(self._of_trait.items()):
            beta, se, z, exact = (
                np.where(fit[:, index], shard.of_trait(name, index), np.nan)
                for name in ("beta", "se", "z_value" if binary else "t_value", "neg_log10_p")
            )
            of_classes = {
                name: [shard.of_trait(f"{name}{whose}", index).astype(float) for whose in classes]
                for name in ("allele_frequency", "n")
            }
            frequencies = [significant(values) for values in of_classes["allele_frequency"]]
            numbers = [
                masked(integers(values.astype(np.int64)), hidden[:, index])
                for values in of_classes["n"]
            ]
            columns = [
                names,
                *frequencies,
                *numbers,
                constant("ADD", len(rows)),
                *(significant(values) for values in (beta, se, z**2, exact)),
                words(codes[:, index], words_there),
            ]
            lines = tab_separated(columns, f"trait {trait}")
            write_lines(file, (memoryview(bytes(some).replace(b"\t", b" ")) for some in lines))

    def _finish(self) -> list[Path]:
        return [file.target for file in self._files]


def _require_same(traits: list[str], before: list[str]) -> None:
    if traits != before:
        raise BadInput(
            f"a shard has the traits {', '.join(traits)}, the first one had {', '.join(before)}. "
            "Append shards of one result only."
        )

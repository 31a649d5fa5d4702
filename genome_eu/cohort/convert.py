"""Genotype files become a cohort store: VCF Zarr with packed rows and a table of people."""

from __future__ import annotations

import contextlib
import copy
import errno
import inspect
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
import zarr
from numpy.typing import NDArray

from genome_eu._version import __version__
from genome_eu.cohort.arrays import ZARR_2
from genome_eu.cohort.bed import BedCalls
from genome_eu.cohort.bgen import BgenCalls, BgenFile, open_bgen
from genome_eu.cohort.calls import GENOTYPE_ARRAYS
from genome_eu.cohort.genome import agree_on_build, check_build_name, check_positions
from genome_eu.cohort.packing import FORMAT, GROUP, Calls, write_packed_group
from genome_eu.cohort.plink import (
    PlinkFileset,
    open_plink,
    plink_bed_path,
    plink_encoding_source,
    variant_columns,
)
from genome_eu.cohort.samples import Matched, match_samples, read_sample_table
from genome_eu.cohort.store import CohortStore, open_store
from genome_eu.cohort.vcf import explode_vcf, open_vcf, vcf_encoding_source
from genome_eu.errors import BadInput, GenomeEuError, SourceError, UsageError

# Older versions of bio2zarr consolidate before the store is complete.
_UNCONSOLIDATED: dict[str, Any] = {} if ZARR_2 else {"use_consolidated": False}
_ZARR_MARKERS = (".zgroup", ".zmetadata", "zarr.json")
_TARGET_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
# After an import that was stopped: how long its writers may last, and when they count as gone.
_WRITERS_END_S, _QUIET_S = 10.0, 0.3


@dataclass(frozen=True, eq=False)
class _Source:
    """A checked source, before any of its genotypes is converted."""

    path: Path
    kind: str
    sample_id: list[str]
    contig_lengths: dict[str, int]
    # People and variants of a source that bio2zarr does not go through: PLINK or BGEN.
    fileset: PlinkFileset | None = None
    bgen: BgenFile | None = None


def import_genotypes(
    source: str | Path,
    target: str | Path,
    *,
    samples: str | Path | None = None,
    sample_file: str | Path | None = None,
    ref_last: bool = False,
    allow_unlisted: bool = False,
    build: str | None = None,
    overwrite: bool = False,
    show_progress: bool = False,
) -> CohortStore:
    """Convert a VCF, BCF, PLINK fileset or BGEN file to a cohort store.

    The store appears under its name only when it is complete; until then everything lies in a
    hidden folder beside it, which is removed whatever goes wrong. Of a VCF, the fixed columns, GT
    and DS are kept; other INFO and FORMAT fields are not.

    Every (variant, ALT) pair becomes one packed row. A VCF variant without an ALT gives no row,
    and is counted. A PLINK variant whose A1 is 0 gives a row whose ALT is ``.``, since it
    has calls for an allele that only has no name.

    Dosages are kept beside the hard calls: of a BGEN file the expected copies of the ALT by its
    probabilities, of a VCF the field DS, and GT where that is missing. The hard call of a BGEN
    dosage is 0, 1 or 2 where it is within 0.1 of that, and missing elsewhere.

    Parameters
    ----------
    source : path
        A VCF compressed by bgzip or a BCF, with its .tbi or .csi index; or the .bed file or the
        prefix of a PLINK 1 fileset, whose people are called by IID, or FID_IID where IIDs repeat;
        or a .bgen file of version 1.2 or 1.3 with two alleles a variant.
    target : path
        The store to make, by convention ``NAME.vcz``.
    samples : path, optional
        Table of people, tab-separated or Parquet, with a column ``sample_id``; the others are kept
        as traits, covariates and groups. Without a column ``sex``, that of a .fam or .sample file
        is used.
    sample_file : path, optional
        The .sample file of a BGEN file, if that does not name its people itself, or to name them
        otherwise; if not given, one of the same name beside it is used where it is needed.
    ref_last : bool
        The second allele of a BGEN file is REF, not the first.
    allow_unlisted : bool
        Without it, people that only one of genotypes and table has are an error. With it, people
        of the genotypes that the table does not list are left out: nothing of theirs is written to
        the store. People of the table without genotypes are ignored.
    build : {"GRCh37", "GRCh38"}, optional
        Reference build; if not given, told from the contig lengths of a VCF header.
    overwrite : bool
        Replace an existing store, when the new one is complete.
    show_progress : bool
        Show progress bars on stderr.

    Returns
    -------
    store : CohortStore
        The new store, open.

    Raises
    ------
    SourceError
        If the genotypes cannot be read as they are, or are not of the build given.
    SampleError
        If ids are repeated or do not match, or the table is not valid.
    BadInput
        If the target exists or cannot be written.
    UsageError
        If `build` is not the name of a build, or an option of BGEN files is given for another.
    """
    source, target = Path(source), Path(target)
    check_build_name(build)
    _check_target(target, overwrite)
    table = None if samples is None else read_sample_table(samples)
    table_name = "" if samples is None else Path(samples).name
    with _one_line_errors(source, target):
        checked = _open_source(source, sample_file, ref_last, show_progress)
        build = agree_on_build(source.name, build, checked.contig_lengths)
        matched = match_samples(
            target.name, checked.sample_id, table, table_name, allow_unlisted=allow_unlisted
        )
        with _partial_folder(target) as partial:
            complete = _convert(checked, matched, build, partial, show_progress)
            # A damaged write is found here, while there is still nothing under the final name.
            _ = open_store(complete).samples
            _move_into_place(complete, target, partial)
    return open_store(target)


def _open_source(
    source: Path, sample_file: str | Path | None, ref_last: bool, show_progress: bool
) -> _Source:
    if source.is_dir():
        raise SourceError(
            f"{source} is a folder; give the VCF, BCF, PLINK or BGEN file that the genotypes came "
            "from."
        )
    if source.suffix == ".pgen":
        raise SourceError(
            f"{source}: .pgen files are not read; convert with "
            "`plink2 --pfile PREFIX --export bgen-1.2 ref-first bits=16`, or `--make-bed`."
        )
    if source.suffix == ".bgen":
        people = None if sample_file is None else Path(sample_file)
        file = open_bgen(source, people, first_is_ref=not ref_last)
        return _Source(source, "bgen", file.sample_id, {}, file.as_fileset(), file)
    if sample_file is not None or ref_last:
        raise UsageError(f"a .sample file and the order of alleles go with BGEN, not {source}.")
    bed = plink_bed_path(source)
    if bed is not None:
        fileset = open_plink(bed)
        return _Source(bed, "plink", fileset.sample_id, {}, fileset)
    if not source.is_file():
        raise SourceError(f"{source}: no such file.")
    header = open_vcf(source, show_progress)
    return _Source(source, "vcf", header.sample_id, header.contig_lengths)


def _convert(
    source: _Source, matched: Matched, build: str, partial: Path, show_progress: bool
) -> Path:
    """Make the complete store inside `partial`, and return its path."""
    complete = partial / "store"
    table = matched.table
    if source.fileset is not None:
        table = _with_fam_sex(table, source.fileset, matched)
        encoding = plink_encoding_source(source.fileset, source.sample_id, matched.keep)
    else:
        exploded = partial / "exploded"
        explode_vcf(source.path, exploded, show_progress)
        encoding = vcf_encoding_source(exploded, matched.keep)

    with _every_chunk_written():
        root, calls = _encode(encoding, complete, source, matched.keep, show_progress)
        shutil.rmtree(partial / "exploded", ignore_errors=True)
        with _bar(encoding.num_records, show_progress) as bar:
            facts, ends = write_packed_group(
                root, table, source=str(source.path), progress=bar.update, calls=calls
            )
    check_positions(source.path.name, build, ends.items())
    root[GROUP].attrs.update(
        {
            "format": FORMAT,
            **facts,
            "build": build,
            "source": {"kind": source.kind, "name": source.path.name},
            "people_left_out": matched.left_out,
            "table_people_without_genotypes": matched.without_genotypes,
            "software": {
                "genome_eu": __version__,
                **{name: _version(name) for name in ("bio2zarr", "zarr", "numcodecs")},
            },
        }
    )
    # Some versions of bio2zarr consolidate and some do not; without it, opening warns.
    zarr.consolidate_metadata(str(complete))
    return complete


def _bar(variants: int, show_progress: bool) -> Any:
    import tqdm

    return tqdm.tqdm(total=variants, desc="    Pack", unit="vars", disable=not show_progress)


def _encode(
    encoding: Any,
    path: Path,
    source: _Source,
    keep: NDArray,
    show_progress: bool,
) -> tuple[Any, Calls | None]:
    """Make the VCF Zarr store; its calls, where they are not in it yet."""
    from bio2zarr import vcz

    fileset = source.fileset

    schema = encoding.generate_schema()
    whole_schema = copy.copy(schema)
    if fileset is not None:
        schema.fields = [field for field in schema.fields if field.name not in GENOTYPE_ARRAYS]
    # Only newer versions can be told; older ones write format 2 unless the environment differs.
    accepted = inspect.signature(vcz.VcfZarrWriter).parameters
    both_stacks = {"zarr_format": 2} if "zarr_format" in accepted else {}
    writer = vcz.VcfZarrWriter(type(encoding), path, **both_stacks)
    writer.init(encoding, target_num_partitions=1, schema=schema)
    if fileset is None:
        # Zero workers: spawned ones would import the caller's script again.
        writer.encode_all_partitions(worker_processes=0, show_progress=show_progress)
        writer.finalise(show_progress)
    else:
        _write_columns(writer, variant_columns(fileset))
    writer.create_index()
    root = zarr.open_group(str(path), mode="r+", **_UNCONSOLIDATED)
    if fileset is None:
        return root, None
    if source.bgen is not None:
        return root, BgenCalls(root, whole_schema, source.bgen, keep)
    return root, BedCalls(root, whole_schema, fileset.bed, len(fileset.fam), keep)


def _write_columns(writer: Any, columns: dict[str, NDArray]) -> None:
    """Fill the arrays that a bio2zarr writer has made, and put them where it would.

    It goes from variant to variant itself, which takes ten times as long.
    """
    made = zarr.open_group(str(writer.arrays_path), mode="r+")
    for name, values in columns.items():
        made[name][:] = values.astype(made[name].dtype)
        os.rename(writer.arrays_path / name, writer.path / name)
    shutil.rmtree(writer.wip_path)


def _every_chunk_written() -> contextlib.AbstractContextManager[object]:
    """Make Zarr 3 write chunks of zeros too.

    bio2zarr's arrays have no fill value; where a chunk of such an array is absent, Zarr 2 gives
    whatever lies in memory.
    """
    config = getattr(zarr, "config", None)
    return config.set({"array.write_empty_chunks": True}) if config else contextlib.nullcontext()


def _with_fam_sex(table: pd.DataFrame, fileset: PlinkFileset, matched: Matched) -> pd.DataFrame:
    sex = fileset.sex[matched.keep]
    if "sex" in table.columns or (sex == "unknown").all():
        return table
    table = table.copy()
    table.insert(0, "sex", sex)
    return table


def _check_target(target: Path, overwrite: bool) -> None:
    if not target.name:
        raise UsageError(f"{target} is no name for a store; give one such as fi.vcz.")
    if not target.parent.is_dir():
        raise BadInput(f"{target.parent}: no such folder for the store {target.name}; make it.")
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise BadInput(f"{target} exists already; choose another name, or pass --overwrite.")
    if target.is_symlink() or not any((target / name).is_file() for name in _ZARR_MARKERS):
        raise BadInput(f"{target} exists and is not a store, so it is not overwritten; move it.")


@contextlib.contextmanager
def _partial_folder(target: Path) -> Iterator[Path]:
    """A hidden folder beside the target, on the same disk, that does not outlive this."""
    # Named before it is made: a signal may come as soon as it is there.
    partial = target.with_name(f".{target.name}.partial-{secrets.token_hex(4)}")
    try:
        try:
            partial.mkdir(mode=0o700)
            yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except BaseException:
        _remove_for_good(partial)
        raise


def _remove_for_good(folder: Path) -> None:
    """Remove a folder that Zarr 3's threads may go on writing to for a moment, and make again."""
    end = time.monotonic() + _WRITERS_END_S
    quiet_since = time.monotonic()
    while (now := time.monotonic()) < end and now - quiet_since < _QUIET_S:
        if folder.exists():
            shutil.rmtree(folder, ignore_errors=True)
            quiet_since = now
        time.sleep(0.02)


def _move_into_place(complete: Path, target: Path, partial: Path) -> None:
    replaced = partial / "replaced"
    if target.exists():
        os.rename(target, replaced)
    try:
        os.rename(complete, target)
    except BaseException:
        if replaced.exists():
            os.rename(replaced, target)
        raise


@contextlib.contextmanager
def _one_line_errors(source: Path, target: Path) -> Iterator[None]:
    """Whatever the readers raise becomes one line that names the file."""
    try:
        yield
    except GenomeEuError:
        raise
    except MemoryError:
        raise
    except PermissionError as error:
        raise BadInput(f"{error.filename or target}: {error.strerror}.") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _TARGET_ERRORS:
            raise BadInput(
                f"{target} cannot be written: {error.strerror}; free some space or choose "
                "another disk."
            ) from error
        reason = (str(error).strip().splitlines() or [""])[0] or type(error).__name__
        raise SourceError(f"{source} cannot be converted: {reason}.") from error


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"

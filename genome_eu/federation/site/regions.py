"""Where a site could have called a variant that its store lacks."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from genome_eu.cohort import contig_name
from genome_eu.errors import BadInput
from genome_eu.stats.regions import Regions, parse_bed


def read_callable(path: str | Path) -> Regions:
    """Regions of a BED file, gzipped if its name says so, with contigs as cohorts name them.

    Raises
    ------
    BadInput
        The file cannot be read, or is not one of regions.
    """
    try:
        content = Path(path).read_bytes()
        if Path(path).suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        raise BadInput(
            f"callable regions {path} cannot be read; give a BED file, or one that is gzipped"
        ) from None
    return parse_bed(content, f"callable regions {path}", contig_name)

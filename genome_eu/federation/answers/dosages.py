"""A site's sums of dosages: counted as genotypes are, by the same groups."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from genome_eu.federation.answers.answering import Answering
from genome_eu.federation.answers.counts import counts_width, exposure_of_counts, genotype_counts
from genome_eu.federation.answers.haploid import exposure_of_haploid, haploid_counts, haploid_width

ANSWERING: Mapping[str, Answering] = {
    "dosage_counts": Answering(
        partial(genotype_counts, dosages=True),
        partial(exposure_of_counts, dosages=True),
        partial(counts_width, dosages=True),
    ),
    "haploid_dosage_counts": Answering(
        partial(haploid_counts, dosages=True),
        partial(exposure_of_haploid, dosages=True),
        partial(haploid_width, dosages=True),
    ),
}

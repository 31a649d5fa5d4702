"""How a site answers: one module for each kind of statistic; this one puts them together."""

from collections.abc import Mapping

from genome_eu.federation.answers import (
    counts,
    dosages,
    filters,
    haploid,
    ld,
    linear,
    logistic,
    pca,
    scores,
    stratified,
    variants,
    wgr,
)
from genome_eu.federation.answers.answering import Answering

_KINDS = (
    variants,
    counts,
    dosages,
    filters,
    haploid,
    ld,
    linear,
    logistic,
    pca,
    scores,
    stratified,
    wgr,
)

#: Every statistic that a site answers.
ANSWERING: Mapping[str, Answering] = {
    statistic: answering for kind in _KINDS for statistic, answering in kind.ANSWERING.items()
}

"""A site's part in a whole-genome regression."""

from collections.abc import Mapping

from genome_eu.federation.answers.answering import Answering
from genome_eu.federation.answers.wgr import beside, binary, level0, level1

ANSWERING: Mapping[str, Answering] = {
    **level0.ANSWERING,
    **level1.ANSWERING,
    **binary.ANSWERING,
    **beside.ANSWERING,
}

"""In which rows a question is asked, by how many copies of them people have."""

from __future__ import annotations

from genome_eu.federation.parameters.types import Frozen
from genome_eu.stats.ploidy import PloidyName, XMales


class PloidyParameters(Frozen):
    """The class of all rows of the panel, and the dosages of males on X."""

    ploidy: PloidyName = "diploid"
    x_males: XMales = "0/2"

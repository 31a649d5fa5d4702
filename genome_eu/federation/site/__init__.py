"""A site: the only place where cohorts and the federation meet.

In layers, each on the one before: what is held (`held`), passes over it (`passes`), rows of panels
(`rows`), what stays with the owner (`own`), and the site that answers plans (`site`).
"""

from __future__ import annotations

from genome_eu.federation.site.regions import read_callable
from genome_eu.federation.site.site import Site

__all__ = ["Site", "read_callable"]

"""A site's list of variants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from genome_eu.disclosure import Facts
from genome_eu.disclosure.budget import Exposure
from genome_eu.federation.answers.answering import Answering, Inputs, Part
from genome_eu.federation.inside.exposed import Exposed
from genome_eu.federation.plan import Plan
from genome_eu.stats import variants

if TYPE_CHECKING:
    from genome_eu.federation.site import Site


def _list(site: Site, plan: Plan, inputs: Inputs) -> Iterator[Part]:
    rows, listed = site.own_rows, site.listed()
    part = variants.VariantList(
        text=variants.encode(site.store.names(rows[listed])),
        rows_listed=np.array(listed.sum()),
        rows_withheld=np.array((~listed).sum()),
        rows_total=np.array(site.store.n_rows),
        build=np.array({"GRCh37": 37, "GRCh38": 38}.get(site.store.build, 0)),
    )
    yield part, Facts(people=site.people)


def _exposure(site: Site, exposed: Exposed, plan: Plan, inputs: Inputs) -> Exposure:
    return exposed.everybody()


ANSWERING: Mapping[str, Answering] = {"variant_list": Answering(_list, _exposure)}

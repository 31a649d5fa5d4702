"""What a site's people are predicted by an earlier regression: offsets of what comes after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from genome_eu.federation.parameters.model import ModelParameters
from genome_eu.federation.plan import array_digest
from genome_eu.stats import ridge

if TYPE_CHECKING:
    from genome_eu.federation.site import Site


def said_of(asked: Any, members: NDArray) -> dict[str, Any]:
    """The model that offsets belong to: they are predictions of these traits for these people.

    `members` (people, traits) says who is of which trait.
    """
    named = asked.model_dump(mode="json", include=set(ModelParameters.model_fields))
    return named | {"people": array_digest(members), "site_effects": asked.site_effects}


def kept_offsets(site: Site, asked: Any, members: NDArray) -> ridge.Offsets:
    """The offsets that an earlier round kept under the id that is asked for.

    Raises
    ------
    TraitError
        There are none, or they are of another model.
    """
    said = said_of(asked, members)
    return site.state.ridge.offsets(asked.wgr, site.store.genotype_digest, said)

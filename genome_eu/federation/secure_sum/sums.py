"""From a site's aggregate to masked words, and from everybody's masked words to the total."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import BadInput, BundleError, Refused
from genome_eu.federation.plan import Plan
from genome_eu.federation.secure_sum import ring
from genome_eu.federation.secure_sum.masks import Masks
from genome_eu.federation.secure_sum.ranges import Agreed, agreed_range
from genome_eu.federation.secure_sum.ready import FEWEST_SITES, Ready
from genome_eu.federation.secure_sum.ring import Words
from genome_eu.stats.aggregate import AGGREGATES, Aggregate, declared, has_rows
from genome_eu.stats.counts import GroupSizes
from genome_eu.stats.qc.removed import RemovedCounts
from genome_eu.stats.variants import VariantList

# Fields on which sites agree because the plan decides them, from the plan and the sizes of the
# dimensions.
_PLANNED: Mapping[str, Callable[[Plan, Mapping[str, int]], Any]] = {
    "components": lambda _, sizes: sizes["components"],
    "trait_group": lambda plan, _: plan.asked().groups,
}

# Which traits have the same people: no sum, but whether two traits differ anywhere can be one.
_PARTITION = "pattern"


def _names(part: GroupSizes) -> GroupSizes:
    """The groups' names without their sizes."""
    return replace(part, people_total=np.array(0), people=part.people[:0])


def _rows(part: VariantList) -> VariantList:
    """The rows that may be named, without how many there are beside them."""
    return replace(part, rows_withheld=np.array(0), rows_total=part.rows_listed)


def _untold(part: RemovedCounts) -> RemovedCounts:
    """Nothing: how many people a site removes is its own number."""
    no = np.array(False)
    nobody = np.zeros_like(part.removed)
    return RemovedCounts(total=np.array(0), removed=nobody, total_shown=no, reasons_shown=no)


# Names are no sums. They are released as what they are, and tell nothing but names.
_OPENLY: Mapping[type[Aggregate], Callable[[Any], Aggregate]] = {
    GroupSizes: _names,
    VariantList: _rows,
    RemovedCounts: _untold,
}


def summable(kind: type[Aggregate]) -> bool:
    """Whether a statistic goes through secure sums; the others name things (`openly`)."""
    return kind not in _OPENLY


def openly(part: Aggregate) -> Aggregate:
    """What a statistic that is no sum says in a federation that sums in secret: names only.

    Raises
    ------
    Refused
        It is a sum.
    """
    if summable(type(part)):
        raise Refused(f"{part.statistic} leaves through a secure sum only")
    return _OPENLY[type(part)](part)


def mask(
    shard: Aggregate,
    *,
    plan: Plan,
    number: int,
    own: str,
    secret: bytes,
    ready: Sequence[Ready],
    people_bound: int,
    min_sites: int = FEWEST_SITES,
) -> dict[str, Words]:
    """One site's shard as masked words: uniform noise to everybody who lacks another site's secret.

    Parameters
    ----------
    shard : Aggregate
        The site's own sums, judged by its airlock; no floor has been applied to a row of them.
    plan, number : Plan, int
        What is asked, and which shard of the answer this is.
    own, secret : str, bytes
        This site, and its private key of this round (`new_secret`).
    ready : sequence of Ready
        Everybody's messages, each verified against the pinned roster.
    people_bound : int
        Most people that all sites have together, as agreed.
    min_sites : int
        Fewest participants that this site accepts; never less than 3.

    Returns
    -------
    dict of uint64 arrays
        (words, *shape of the field) for every field that is summed. Flags do not travel: absent
        rows are zeros. Nor do sizes, which follow from the plan.

    Raises
    ------
    Refused, BundleError
        As `agreed`; the statistic is no sum; the shard is not one that the plan asks for, or rows
        of it were withheld.
    BadInput
        A value lies outside the agreed range; the message does not tell it.
    """
    kind = _asked(plan)
    _require_fit(shard, kind, plan, number)
    masks = Masks(
        plan, ready, own=own, secret=secret, people_bound=people_bound, min_sites=min_sites
    )
    hidden: dict[str, Words] = {}
    for item in _travelling(kind):
        value = getattr(shard, item.name)
        if item.name == _PARTITION:
            words = _differences(value, masks.own_noise((_pairs(value.size),), number, item.name))
        else:
            words = _encode(value, agreed_range(plan, item, people_bound), item, kind)
        masks.hide(words, number, item.name)
        hidden[item.name] = words
    return hidden


def total(
    plan: Plan, messages: Mapping[str, Mapping[str, NDArray]], *, people_bound: int
) -> Aggregate:
    """The sum over all sites from what `mask` made of the same shard at each of them.

    Counts are exact. Floats are off by at most `Agreed.error`, and rounded once.

    Parameters
    ----------
    plan : Plan
        What was asked.
    messages : mapping of site to its masked fields
        One of each site that the plan names.
    people_bound : int
        As in `mask`.

    Raises
    ------
    BundleError
        A site is missing or not asked, its arrays are of another form, or the sum is not one that
        the sites can have made: some message belongs to another round or is damaged.
    """
    kind = _asked(plan)
    if sorted(messages) != sorted(plan.sites):
        raise BundleError("the masked answers are not one of each site that the plan names")
    found: dict[str, NDArray] = {}
    sizes: dict[str, int] = {}
    for item in _travelling(kind):
        fields = {site: message.get(item.name) for site, message in messages.items()}
        if item.name == _PARTITION:
            differ = _added(fields, f"{plan.statistic}.{item.name}", 1, 1)[0] != 0
            found[item.name] = _classes(differ, sizes["traits"])
        else:
            agreed = agreed_range(plan, item, people_bound)
            dims = len(item.metadata["dims"])
            words = _added(fields, f"{plan.statistic}.{item.name}", agreed.words, dims)
            found[item.name] = _decode(words, agreed, item, kind)
        sizes |= zip(item.metadata["dims"], found[item.name].shape, strict=True)
    for item in declared(kind):
        if item.metadata["merge"] == "every":
            found[item.name] = np.ones([sizes[name] for name in item.metadata["dims"]], bool)
        elif item.metadata["merge"] == "same":
            found[item.name] = np.array(_PLANNED[item.name](plan, sizes), item.metadata["dtype"])
    return kind(**found)


def _asked(plan: Plan) -> type[Aggregate]:
    kind = AGGREGATES.get(plan.statistic)
    if kind is None or not summable(kind):
        raise Refused(f"statistic {plan.statistic} is not one that goes through a secure sum")
    unknown = [
        item.name
        for item in declared(kind)
        if item.metadata["merge"] == "same" and item.name not in _PLANNED
    ]
    if unknown:
        raise Refused(f"field {plan.statistic}.{unknown[0]} is no sum and follows from no plan")
    return kind


def _require_fit(shard: Aggregate, kind: type[Aggregate], plan: Plan, number: int) -> None:
    """The shard is the one that the plan asks for, and whole."""
    spans = plan.spans()
    if type(shard) is not kind or not 0 <= number < len(spans):
        raise BundleError(f"the plan does not ask for shard {number} of {shard.statistic}")
    start, stop = spans[number]
    if has_rows(kind) and shard.rows != stop - start:
        raise BundleError(f"shard {number} has {shard.rows} rows, the plan asks {stop - start}")
    flags = [item for item in declared(kind) if item.metadata["merge"] == "every"]
    if not all(getattr(shard, item.name).all() for item in flags):
        raise Refused(
            f"rows of {kind.statistic} were withheld before a secure sum, which would sum them in "
            f"part; floors belong to the publisher"
        )


def _travelling(kind: type[Aggregate]) -> list[Field[Any]]:
    return [item for item in declared(kind) if item.metadata["merge"] == "total"]


def _encode(value: NDArray, agreed: Agreed, item: Field[Any], kind: type[Aggregate]) -> Words:
    least = 0 if item.metadata["dtype"] is np.int64 else -agreed.bound
    # Not a number is in no range.
    if not np.all((value >= least) & (value <= agreed.bound)):
        raise BadInput(
            f"{kind.statistic}.{item.name} lies outside the range agreed for the secure sum; the "
            f"plan's scales do not fit this cohort, or it has more people than were agreed"
        )
    if item.metadata["dtype"] is np.int64:
        return value.astype(np.uint64)[None]
    return ring.encode(value, agreed.words, agreed.fraction)


def _decode(words: Words, agreed: Agreed, item: Field[Any], kind: type[Aggregate]) -> NDArray:
    whole = item.metadata["dtype"] is np.int64
    value = words[0].view(np.int64) if whole else ring.decode(words, agreed.fraction)
    most = agreed.participants * agreed.bound
    if not np.all((value >= (0 if whole else -most)) & (value <= most)):
        raise BundleError(
            f"the masks of {kind.statistic}.{item.name} do not cancel: a site's answer belongs to "
            f"another round, or its cohort is not what it says; ask under a new round"
        )
    return value


def _added(fields: Mapping[str, NDArray | None], name: str, words: int, dims: int) -> Words:
    """The sum of a field's words over all sites."""
    summed: Words | None = None
    for site, given in sorted(fields.items()):
        if (
            given is None
            or given.dtype != np.dtype("<u8")
            or given.ndim != dims + 1
            or given.shape[0] != words
            or (summed is not None and given.shape != summed.shape)
        ):
            raise BundleError(f"{name} of site {site} is not of the form that the plan asks for")
        if summed is None:
            summed = given.astype(np.uint64)
        else:
            ring.add(summed, given)
    if summed is None:
        raise BundleError(f"{name} was answered by nobody")
    return summed


def _pairs(traits: int) -> int:
    return traits * (traits - 1) // 2


def _differences(pattern: NDArray, noise: Words) -> Words:
    """Noise for each pair of traits that have different people here, 0 for the others.

    In the sum over sites, a pair is 0 where all sites have 0 (else with probability 2^-64), and
    uniform noise where any has not: it tells whether the traits differ, and not where.
    """
    first, second = np.triu_indices(pattern.size, 1)
    return np.where(pattern[first] != pattern[second], noise, np.uint64(0))[None]


def _classes(differ: NDArray, traits: int) -> NDArray:
    """Traits numbered so that equal numbers mean the same people at every site."""
    if differ.shape != (_pairs(traits),):
        raise BundleError(f"the answers compare another number of traits than the {traits} asked")
    together = np.ones((traits, traits), bool)
    together[np.triu_indices(traits, 1)] = ~differ
    # Each trait goes by the first that it does not differ from.
    first = (together & together.T).argmax(axis=1)
    return np.unique(first, return_inverse=True)[1].reshape(-1)

"""A site's disclosure policy: a TOML file that its data officer owns."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genome_eu import toml
from genome_eu.errors import PolicyError, UsageError
from genome_eu.stats.aggregate import AGGREGATES

SHIPPED = ("default", "open-data")
UNLIMITED = "unlimited"


@dataclass(frozen=True)
class Strictest:
    """How the strictest of several values of a key is found."""

    of: Callable[[list[Any]], Any]


def _least(shares: list[float | str]) -> float | str:
    return min(shares, key=limit)


def _latest(*order: str) -> Strictest:
    """The value that stands last in an order from lenient to strict."""
    return Strictest(lambda values: max(values, key=order.index))


def _common(lists: list[Any]) -> Any:
    """What every list has; "all" leaves things out of none."""
    named = [set(one) for one in lists if one != "all"]
    return tuple(sorted(set.intersection(*named))) if named else "all"


Text = Annotated[str, Strictest(lambda values: values[0])]
Floor = Annotated[int, Strictest(max)]
Share = Annotated[float, Field(gt=0, le=1), Strictest(min)]
Budgeted = Annotated[Annotated[float, Field(gt=0, le=1)] | Literal["unlimited"], Strictest(_least)]
Statistics = Annotated[
    Literal["all"] | Annotated[tuple[str, ...], Field(strict=False)], Strictest(_common)
]


class Policy(BaseModel):
    """What may leave a site. Every key must be given; none is guessed."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    name: Annotated[Text, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    """Name of the policy; results name the policies that they were made under."""
    description: Annotated[Text, Field(max_length=500)]
    """What the policy is for, in a sentence."""
    statistics: Statistics
    """Statistics that the site answers: "all" that are installed, or a list of their names."""
    min_people: Annotated[Floor, Field(ge=1)]
    """Fewest people in any group that is described at all."""
    allele_floor: Annotated[Floor, Field(ge=0)]
    """Fewest alleles on either tail (AC, AN - AC) of a frequency that is shown."""
    genotype_floor: Annotated[Floor, Field(ge=0)]
    """Fewest people in each genotype class that is shown."""
    association_floor: Annotated[Floor, Field(ge=0)]
    """Fewest minor alleles among the people of an association test."""
    missing_floor: Annotated[Floor, Field(ge=0)]
    """Fewest missing calls behind a sum over missing calls, where there are any."""
    max_parameters_per_person: Share
    """Most parameters of one model per person."""
    covariate_floor: Annotated[Floor, Field(ge=0)]
    """Fewest people who differ from the most common value of a trait or covariate."""
    max_leverage: Share
    """Largest leverage of any person on traits and covariates."""
    differencing_floor: Annotated[Floor, Field(ge=0)]
    """Fewest people by which two releases, or two groups of one, may differ without being alike."""
    max_rank_per_person: Budgeted
    """Most columns that genotypes are ever multiplied by, per person of those columns."""
    max_traits_per_person: Budgeted
    """Most traits that associations are ever released of, per person of those traits."""
    membership_power: Annotated[float, Field(ge=0, le=1), Strictest(min)]
    """Power of the membership attack above which a person reviews a release."""
    membership_alpha: Annotated[float, Field(gt=0, lt=1), Strictest(max)]
    """Rate of false accusations at which that power is stated."""
    show_zero: Annotated[bool, Strictest(all)]
    """Whether a count of zero may be shown."""
    review: Annotated[Literal["flagged", "always", "never"], _latest("flagged", "never", "always")]
    """Which releases wait for a person."""
    secure_sum: Annotated[
        Literal["required", "allowed", "off"], _latest("off", "allowed", "required")
    ]
    """Whether the site's numbers leave only within a sum over sites."""
    min_sites: Annotated[Floor, Field(ge=3)]
    """Fewest sites in a secure sum."""

    @property
    def has_floors(self) -> bool:
        """Whether anything is withheld at all; a result made without says so."""
        return min(self.min_people - 1, self.allele_floor, self.association_floor) > 0

    def allows(self, statistic: str) -> bool:
        """Whether the site answers this statistic."""
        return self.statistics == "all" or statistic in self.statistics


def limit(share: float | str) -> float:
    """A budget as a number; infinite where it is unlimited."""
    return math.inf if isinstance(share, str) else share


def load_policy(source: str | Path) -> Policy:
    """Read a policy: `default`, `open-data`, or the path of a TOML file.

    Raises
    ------
    PolicyError
        The file is missing, is not TOML, lacks a key, has an unknown one, or a value out of range.
    """
    if str(source) in SHIPPED:
        text = resources.files(__package__).joinpath("policies", f"{source}.toml").read_text()
    else:
        try:
            text = Path(source).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PolicyError(
                f"policy {source} cannot be read ({error.__class__.__name__}); give the path of a "
                f"TOML file, or one of {', '.join(SHIPPED)}"
            ) from None
    try:
        policy = Policy.model_validate(toml.parsed(text))
    except ValidationError as error:
        first = error.errors()[0]
        # What follows the key names a branch of a choice, which no data officer wrote.
        where = str(first["loc"][0]) if first["loc"] else "the file"
        raise PolicyError(
            f"policy {source}: {where}: {first['msg'].lower()}; compare it with the shipped "
            f"default policy"
        ) from None
    except ValueError as error:
        raise PolicyError(f"policy {source} is not valid TOML: {error}") from None
    unknown = sorted(set() if policy.statistics == "all" else {*policy.statistics} - {*AGGREGATES})
    if unknown:
        raise PolicyError(
            f"policy {source}: statistics: {unknown[0]} is not a statistic of this version; it has "
            f"{', '.join(sorted(AGGREGATES))}"
        )
    # Outputs name the policy, so a name must mean one thing.
    if policy.name in SHIPPED and str(source) not in SHIPPED and policy != load_policy(policy.name):
        raise PolicyError(
            f"policy {source} is named {policy.name} but differs from the shipped policy of that "
            f"name; give it a name of its own"
        )
    return policy


def strictest(policies: Iterable[Policy]) -> Policy:
    """The policy that asks of each key what the strictest of several policies asks.

    The publisher of a secure sum applies it to the total. One policy alone, or several alike, keep
    their name; the strictest of different ones is named `strictest`.

    Raises
    ------
    UsageError
        There is no policy.
    """
    given = list(dict.fromkeys(policies))
    if not given:
        raise UsageError("the strictest of no policies was asked for")
    if len(given) == 1:
        return given[0]
    names = ", ".join(sorted({policy.name for policy in given}))
    values: dict[str, Any] = {
        key: next(rule for rule in field.metadata if isinstance(rule, Strictest)).of(
            [getattr(policy, key) for policy in given]
        )
        for key, field in Policy.model_fields.items()
    }
    values["name"] = "strictest"
    values["description"] = f"The strictest value of each key of {names}."[:500]
    return Policy.model_validate(values)


def schema() -> str:
    """The JSON Schema of a policy, as shipped beside the policies for editors of TOML."""
    return json.dumps(Policy.model_json_schema(), indent=2, ensure_ascii=False) + "\n"

"""A site's disclosure policy: a TOML file that its data officer owns."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genome_eu.errors import PolicyError

SHIPPED = ("default", "open-data")


class Policy(BaseModel):
    """Floors below which a number stays at its site. Every key must be given; none is guessed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    description: str = Field(max_length=500)
    min_people: int = Field(ge=1)
    allele_floor: int = Field(ge=0)
    genotype_floor: int = Field(ge=0)
    association_floor: int = Field(ge=0)
    missing_floor: int = Field(ge=0)
    max_parameters_per_person: float = Field(gt=0, le=1)
    covariate_floor: int = Field(ge=0)
    max_leverage: float = Field(gt=0, le=1)
    show_zero: bool

    @property
    def has_floors(self) -> bool:
        """Whether anything is withheld at all; a result made without says so."""
        return min(self.min_people - 1, self.allele_floor, self.association_floor) > 0


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
        policy = Policy.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"policy {source} is not valid TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PolicyError(
            f"policy {source}: {where}: {first['msg'].lower()}; compare it with the shipped "
            f"default policy"
        ) from None
    # Outputs name the policy, so a name must mean one thing.
    if policy.name in SHIPPED and str(source) not in SHIPPED and policy != load_policy(policy.name):
        raise PolicyError(
            f"policy {source} is named {policy.name} but differs from the shipped policy of that "
            f"name; give it a name of its own"
        )
    return policy

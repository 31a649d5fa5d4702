"""`site.toml`: what a site serves, and where it keeps what is its own."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genome_eu import toml
from genome_eu.disclosure.policy import SHIPPED, Policy, load_policy
from genome_eu.errors import BadInput
from genome_eu.federation.parameters.types import Name


class SiteSettings(BaseModel):
    """`site.toml`, validated. Paths are relative to the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Name
    cohort: str
    # A folder, or a URL that fsspec knows; without it, that of the accepted roster.
    exchange: str | None = None
    # What the exchange's client takes besides: a user name, an endpoint. Never a secret.
    exchange_options: dict[str, str | int | bool] = Field(default_factory=dict)
    keys: str | None = None
    policy: str = "default"
    state: str = "state"
    # A BED file (0-based, half open) of where the site could call: a variant that its cohort lacks
    # there counts as homozygous for the reference.
    callable: str | None = None


def read_settings(path: Path) -> SiteSettings:
    """Read and validate `site.toml`.

    Raises
    ------
    BadInput
        The file is missing, is not TOML, or lacks or misnames something.
    """
    try:
        return SiteSettings.model_validate(toml.parsed(path.read_text(encoding="utf-8")))
    except OSError:
        raise BadInput(
            f"site file {path} cannot be read; make one with `genome-eu site init`"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"site file {path}: {where}: {first['msg'].lower()}") from None
    except ValueError as error:
        raise BadInput(f"site file {path} is not valid TOML: {error}") from None


def policy_of(path: Path, settings: SiteSettings) -> Policy:
    """The policy that a `site.toml` names: shipped, or a file beside it."""
    named = settings.policy
    return load_policy(named if named in SHIPPED else path.parent / named)


def state_of(path: Path, settings: SiteSettings) -> Path:
    """The private folder of a site: scores, ledger, held answers."""
    return path.parent / settings.state

"""Policies of tests: the shipped `default`, with single rules changed."""

from __future__ import annotations

import json
import tomllib
from importlib import resources
from pathlib import Path

from genome_eu.disclosure import Policy, load_policy

#: Nothing adds up over releases, and nobody is asked: floors alone decide.
NO_MEMORY = {
    "membership_power": 1.0,
    "max_rank_per_person": "unlimited",
    "max_traits_per_person": "unlimited",
}


def changed(**keys: object) -> Policy:
    """The default policy with these keys, under a name of its own."""
    values = load_policy("default").model_dump() | {"name": "ours"} | keys
    return Policy.model_validate(values)


def policy_file(folder: Path, **keys: object) -> Path:
    """The same as a file, for whoever is given the path of a policy."""
    text = resources.files("genome_eu.disclosure").joinpath("policies", "default.toml").read_text()
    values = tomllib.loads(text) | {"name": "ours"} | keys
    path = folder / f"{values['name']}.toml"
    path.write_text("".join(f"{key} = {json.dumps(one)}\n" for key, one in values.items()))
    return path


def floors_file(folder: Path, **keys: object) -> Path:
    """A policy whose floors decide and nobody else: for tests of what the floors do."""
    return policy_file(folder, **(NO_MEMORY | {"name": "floors"} | keys))

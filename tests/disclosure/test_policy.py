"""A policy file is read whole or not at all: every key given, none guessed, none misspelt."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from genome_eu.disclosure import Policy, load_policy
from genome_eu.disclosure.policy import SHIPPED
from genome_eu.errors import PolicyError

KEYS = list(Policy.model_fields)


def shipped_text(name: str = "default") -> str:
    return resources.files("genome_eu.disclosure").joinpath("policies", f"{name}.toml").read_text()


def changed(tmp_path: Path, key: str, line: str) -> Path:
    """The default policy under another name, with the line of one key replaced."""
    lines = shipped_text().replace('name = "default"', 'name = "ours"').splitlines()
    kept = [line if one.split(" =")[0] == key else one for one in lines]
    path = tmp_path / "policy.toml"
    path.write_text("\n".join(kept) + "\n")
    return path


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_policies_load_under_their_own_name(name):
    assert load_policy(name).name == name


def test_the_default_has_the_floors_of_national_biobanks():
    policy = load_policy("default")
    assert policy.min_people >= 10
    assert policy.allele_floor >= 10
    assert policy.genotype_floor >= 5
    assert policy.association_floor >= 10
    assert policy.missing_floor >= 5
    assert policy.max_parameters_per_person <= 0.33
    assert policy.covariate_floor >= 5
    assert policy.max_leverage <= 0.5


def test_a_file_that_changes_a_floor_is_read(tmp_path):
    policy = load_policy(changed(tmp_path, "allele_floor", "allele_floor = 20"))
    assert (policy.name, policy.allele_floor) == ("ours", 20)


@pytest.mark.parametrize("key", KEYS)
def test_a_missing_key_is_named(tmp_path, key):
    with pytest.raises(PolicyError, match=rf"policy\.toml: {key}: field required; compare"):
        load_policy(changed(tmp_path, key, ""))


def test_an_unknown_key_is_named(tmp_path):
    path = changed(tmp_path, "min_people", "min_people = 10\nmin_peple = 50")
    with pytest.raises(PolicyError, match=r"min_peple: extra inputs are not permitted"):
        load_policy(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("min_people", '"10"'),
        ("min_people", "10.5"),
        ("min_people", "true"),
        ("allele_floor", "[10]"),
        ("show_zero", "1"),
        ("show_zero", '"yes"'),
        ("max_parameters_per_person", '"0.33"'),
        ("name", "7"),
    ],
)
def test_a_value_of_the_wrong_type_is_not_converted(tmp_path, key, value):
    with pytest.raises(PolicyError, match=rf"{key}: input should be a valid"):
        load_policy(changed(tmp_path, key, f"{key} = {value}"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("min_people", "0"),
        ("allele_floor", "-1"),
        ("missing_floor", "-5"),
        ("max_parameters_per_person", "0.0"),
        ("max_parameters_per_person", "1.5"),
        ("max_parameters_per_person", "nan"),
        ("name", '"../default"'),
        ("name", '""'),
    ],
)
def test_a_value_out_of_range_is_refused(tmp_path, key, value):
    with pytest.raises(PolicyError, match=rf"policy\.toml: {key}: "):
        load_policy(changed(tmp_path, key, f"{key} = {value}"))


@pytest.mark.parametrize("content", [b"name = ", b"name = 'a'\nname = 'b'\n", b"[[", b"a = \x00"])
def test_what_is_not_toml_is_said_to_be_so(tmp_path, content):
    path = tmp_path / "policy.toml"
    path.write_bytes(content)
    with pytest.raises(PolicyError, match=r"policy\.toml is not valid TOML"):
        load_policy(path)


def test_a_file_that_is_not_text_cannot_be_read(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PolicyError, match=r"cannot be read \(UnicodeDecodeError\)"):
        load_policy(path)


@pytest.mark.parametrize("name", ["nowhere.toml", "defualt", "."])
def test_a_missing_file_names_the_shipped_policies(tmp_path, name):
    with pytest.raises(PolicyError, match=r"cannot be read .*default, open-data"):
        load_policy(tmp_path / name)


def test_a_file_may_not_borrow_the_name_of_a_shipped_policy(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text(shipped_text().replace("allele_floor = 10", "allele_floor = 1"))
    with pytest.raises(PolicyError, match="named default but differs from the shipped policy"):
        load_policy(path)
    path.write_text(shipped_text())
    assert load_policy(path) == load_policy("default")


def test_a_policy_cannot_be_changed_once_loaded():
    policy = load_policy("default")
    with pytest.raises(ValueError, match="frozen"):
        policy.min_people = 1

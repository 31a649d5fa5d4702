"""A policy file is read whole or not at all: every key given, none guessed, none misspelt."""

from __future__ import annotations

import json
import tomllib
from importlib import resources
from itertools import permutations
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from genome_eu.disclosure import Policy, load_policy
from genome_eu.disclosure.policy import SHIPPED, limit, schema, strictest
from genome_eu.errors import PolicyError, UsageError

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
    assert policy.differencing_floor >= 5
    assert limit(policy.max_rank_per_person) <= 0.33
    assert limit(policy.max_traits_per_person) <= 0.16
    assert policy.membership_power <= 0.5
    assert policy.min_sites >= 3
    assert policy.review == "flagged"


def test_open_data_lets_everything_pass():
    policy = load_policy("open-data")
    floors = [getattr(policy, key) for key in KEYS if key.endswith("_floor")]
    assert set(floors) == {0}
    assert policy.min_people == 1
    assert limit(policy.max_rank_per_person) == float("inf")
    assert limit(policy.max_traits_per_person) == float("inf")
    assert (policy.membership_power, policy.max_parameters_per_person) == (1.0, 1.0)
    assert (policy.max_leverage, policy.show_zero) == (1.0, True)
    assert policy.allows("whatever exists")


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
        ("max_rank_per_person", "true"),
        ("membership_power", '"high"'),
        ("review", "true"),
        ("statistics", '"some"'),
        ("statistics", "[7]"),
        ("name", "7"),
    ],
)
def test_a_value_of_the_wrong_type_is_not_converted(tmp_path, key, value):
    with pytest.raises(PolicyError, match=rf"policy\.toml: {key}: input should be "):
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
        ("max_rank_per_person", "0.0"),
        ("max_rank_per_person", "inf"),
        ("max_rank_per_person", '"none"'),
        ("max_traits_per_person", "nan"),
        ("max_traits_per_person", "2.0"),
        ("membership_power", "1.1"),
        ("membership_alpha", "0.0"),
        ("membership_alpha", "1.0"),
        ("differencing_floor", "-1"),
        ("review", '"sometimes"'),
        ("secure_sum", '"on"'),
        ("min_sites", "2"),
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


# -- statistics and budgets --------------------------------------------------------------------


def test_a_list_of_statistics_allows_those_and_no_others(tmp_path):
    line = 'statistics = ["group_sizes", "genotype_counts"]'
    policy = load_policy(changed(tmp_path, "statistics", line))
    assert policy.statistics == ("group_sizes", "genotype_counts")
    assert policy.allows("genotype_counts")
    assert not policy.allows("linear_mean")


def test_an_empty_list_of_statistics_allows_none(tmp_path):
    assert not load_policy(changed(tmp_path, "statistics", "statistics = []")).allows("group_sizes")


def test_a_statistic_that_does_not_exist_is_named(tmp_path):
    path = changed(tmp_path, "statistics", 'statistics = ["group_size"]')
    with pytest.raises(PolicyError, match=r"statistics: group_size is not a statistic .*group_si"):
        load_policy(path)


def test_a_budget_may_be_unlimited(tmp_path):
    line = 'max_rank_per_person = "unlimited"'
    assert limit(load_policy(changed(tmp_path, "max_rank_per_person", line)).max_rank_per_person)


# -- the strictest of several ------------------------------------------------------------------

STRICTER = {
    "statistics": ("all", ("group_sizes",)),
    "min_people": (10, 11),
    "max_parameters_per_person": (0.33, 0.2),
    "max_leverage": (0.5, 0.4),
    "max_rank_per_person": ("unlimited", 1.0),
    "max_traits_per_person": (0.5, 0.16),
    "membership_power": (0.5, 0.2),
    "membership_alpha": (0.01, 0.05),
    "show_zero": (True, False),
    "review": ("flagged", "always"),
    "secure_sum": ("allowed", "required"),
    "min_sites": (3, 4),
} | {key: (5, 6) for key in KEYS if key.endswith("_floor")}


def test_every_key_but_the_words_has_a_strictest_value():
    assert set(STRICTER) == set(KEYS) - {"name", "description"}


@pytest.mark.parametrize("key", STRICTER)
def test_the_strictest_value_of_each_key_is_taken_whatever_the_order(key):
    values = STRICTER[key]
    policies = [
        load_policy("default").model_copy(update={key: value, "name": f"site{number}"})
        for number, value in enumerate(values)
    ]
    for some in permutations(policies):
        found = strictest(some)
        assert getattr(found, key) == values[1]
        assert (found.name, found.description) == (
            "strictest",
            "The strictest value of each key of site0, site1.",
        )
        same = set(KEYS) - {key, "name", "description"}
        assert all(getattr(found, one) == getattr(policies[0], one) for one in same)


def test_lists_of_statistics_leave_what_all_of_them_have():
    lists = [
        ("group_sizes", "linear_mean"),
        "all",
        ("linear_mean", "variant_list"),
        ("pca_scores",),
    ]
    policies = [load_policy("default").model_copy(update={"statistics": one}) for one in lists]
    assert strictest(policies[:3]).statistics == ("linear_mean",)
    assert strictest(policies).statistics == ()


def test_one_policy_is_its_own_strictest():
    default = load_policy("default")
    assert strictest([default, load_policy("default")]) is default
    with pytest.raises(UsageError, match="strictest of no policies"):
        strictest([])


def test_the_default_is_stricter_than_open_data():
    default, open_data = load_policy("default"), load_policy("open-data")
    found = strictest([open_data, default])
    words = {"name": default.name, "description": default.description}
    assert found.model_copy(update=words) == default


# -- the schema --------------------------------------------------------------------------------


def test_the_shipped_schema_is_that_of_the_policy():
    shipped = resources.files("genome_eu.disclosure").joinpath("policies", "policy.schema.json")
    assert shipped.read_text() == schema(), (
        "write genome_eu.disclosure.policy.schema() to policies/policy.schema.json"
    )


def test_the_schema_explains_and_requires_every_key():
    found = json.loads(schema())
    assert found["required"] == KEYS
    assert all(found["properties"][key]["description"] for key in KEYS)
    assert found["additionalProperties"] is False


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_policies_name_the_schema_and_comment_every_key(name):
    text = shipped_text(name)
    assert text.startswith("#:schema ./policy.schema.json\n")
    jsonschema.validate(tomllib.loads(text), json.loads(schema()))
    if name == "default":
        # A comment stands above each key, or above the key before it.
        lines = text.splitlines()
        for key in set(KEYS) - {"description", "membership_alpha"}:
            place = next(n for n, line in enumerate(lines) if line.startswith(f"{key} = "))
            assert lines[place - 1].startswith("# "), key


ODD = [None, True, 0, 1, 2, 3, -1, 10, 0.5, 1.5, "all", "off", "x y", [], ["group_sizes"], [1], {}]


@pytest.mark.parametrize("key", KEYS)
def test_schema_and_reader_agree_on_odd_values(key):
    content = tomllib.loads(shipped_text())
    checker = jsonschema.Draft202012Validator(json.loads(schema()))
    for value in ODD:
        content[key] = value
        try:
            Policy.model_validate(content)
            accepted = True
        except ValidationError:
            accepted = False
        # JSON knows one kind of number, and TOML has no null.
        assert checker.is_valid(content) == accepted, (key, value)

"""The exported ledger has the actions, types and properties of the Five Safes profile."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from genome_eu.disclosure.ledger import Ledger
from genome_eu.disclosure.rocrate import write_crate
from genome_eu.errors import LedgerError, UsageError
from genome_eu.stats.aggregate import AGGREGATES

SHP = "https://w3id.org/shp#"
ALLOWED = {
    f"http://schema.org/{one}ActionStatus" for one in ("Potential", "Active", "Completed", "Failed")
}
PASSED, REFUSED, HELD, DENIED, OPEN = (letter * 64 for letter in "abcde")


def told(path: Path | None = None) -> Ledger:
    ledger = Ledger(path)
    ledger.append("opened", site="FI")
    ledger.append("policy", name="default", sha256="c" * 64)
    for number, plan in enumerate((PASSED, REFUSED, HELD)):
        ledger.append(
            "request",
            plan=plan,
            study="s1",
            round=number,
            statistic="linear_mean",
            reader="analyst",
        )
    ledger.append("release", plan=PASSED, bundle="1" * 64)
    ledger.append("delivered", plan=PASSED)
    ledger.append("refusal", plan=REFUSED, checks=["people"])
    ledger.append("held", plan=HELD, study="s1")
    ledger.append("approval", plan=HELD, study="s1", who="A. Officer", why="seen")
    ledger.append("release", plan=HELD, bundle="2" * 64)
    ledger.append("study_approval", study="s2", who="A. Officer", rounds=3)
    for plan in (DENIED, OPEN, OPEN):
        ledger.append("request", plan=plan, study="s2", statistic="group_sizes", reader="analyst")
    ledger.append("denial", plan=DENIED, study="s2", who="B. Officer", why="no")
    ledger.append("withdrawn", study="s2", who="B. Officer", why="no")
    return ledger


@pytest.fixture(scope="module")
def bag(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("crate")
    return write_crate(told(folder / "ledger.jsonl"), folder / "bag", site="FI", project="demo")


@pytest.fixture(scope="module")
def graph(bag) -> dict[str, dict[str, Any]]:
    found = json.loads((bag / "data" / "ro-crate-metadata.json").read_text())
    assert found["@context"] == "https://w3id.org/ro/crate/1.2/context"
    return {entity["@id"]: entity for entity in found["@graph"]}


def listed(value: Any) -> list[str]:
    return [one["@id"] for one in (value if isinstance(value, list) else [value])]


def assessments(
    graph: dict[str, dict[str, Any]], kind: str, plan: str | None = None
) -> list[dict[str, Any]]:
    return [
        one
        for one in graph.values()
        if one.get("additionalType") == {"@id": SHP + kind}
        and (plan is None or f"#plan-{plan}" in listed(one["object"]))
    ]


def run(graph: dict[str, dict[str, Any]], plan: str) -> dict[str, Any]:
    (found,) = (
        one
        for one in graph.values()
        if one["@type"] == "CreateAction" and one["object"] == {"@id": f"#plan-{plan}"}
    )
    return found


def test_the_root_says_what_the_profile_asks(graph):
    root = graph["./"]
    assert root["conformsTo"] == {"@id": "https://w3id.org/5s-crate/0.4"}
    assert graph["https://w3id.org/5s-crate/0.4"]["@type"] == "Profile"
    assert graph["ro-crate-metadata.json"]["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.2"}
    workflow = graph[root["mainEntity"]["@id"]]
    assert workflow["@type"] == "Dataset"
    assert workflow["conformsTo"]["@id"].startswith(
        "https://w3id.org/workflowhub/workflow-ro-crate"
    )
    assert graph[root["sourceOrganization"]["@id"]]["@type"] == "Project"
    assert graph[root["publisher"]["@id"]]["@type"] == "Organization"
    assert {"datePublished", "license", "name", "description"} <= set(root)
    assert set(listed(root["hasPart"])) == {"workflow/", "ledger.jsonl"}


def test_every_action_is_mentioned_and_every_reference_is_there(graph):
    actions = {key for key, one in graph.items() if str(one["@type"]).endswith("Action")}
    assert set(listed(graph["./"]["mentions"])) == actions
    for entity in graph.values():
        for name, value in entity.items():
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, dict) and name not in ("additionalType", "conformsTo"):
                    assert one["@id"] in graph, (entity["@id"], name)


def test_actions_have_names_allowed_status_times_and_agents(graph):
    for key in listed(graph["./"]["mentions"]):
        action = graph[key]
        assert len(action["name"]) >= 10
        assert action["actionStatus"] in ALLOWED
        ended = action["actionStatus"].rpartition("/")[2] in (
            "CompletedActionStatus",
            "FailedActionStatus",
        )
        assert ("endTime" in action) == (ended and action["@type"] != "UpdateAction")
        if action["actionStatus"] != "http://schema.org/PotentialActionStatus":
            agent = graph[action["agent"]["@id"]]
            assert agent["@type"] in ("Person", "SoftwareApplication")
            if agent["@type"] == "SoftwareApplication":
                assert graph[agent["provider"]["@id"]]["@type"] == "Organization"
        if "additionalType" in action and action["@type"] == "AssessAction":
            assert "./" in listed(action["object"])


@pytest.mark.parametrize(
    ("plan", "status"),
    [
        (PASSED, "Completed"),
        (REFUSED, "Failed"),
        (HELD, "Completed"),
        (DENIED, "Failed"),
        (OPEN, "Active"),
    ],
)
def test_each_request_is_one_computation_by_a_person_with_the_workflow(graph, plan, status):
    found = run(graph, plan)
    assert found["actionStatus"] == f"http://schema.org/{status}ActionStatus"
    assert found["instrument"] == graph["./"]["mainEntity"]
    agent = graph[found["agent"]["@id"]]
    assert (agent["@type"], agent["name"]) == ("Person", "analyst")
    assert listed(agent["memberOf"]) == [graph["./"]["sourceOrganization"]["@id"]]
    assert len(assessments(graph, "CheckValue", plan)) == 1
    (validated,) = assessments(graph, "ValidationCheck", plan)
    assert validated["instrument"] == {"@id": "https://w3id.org/5s-crate/0.4"}
    (checked,) = assessments(graph, "CheckValue", plan)
    assert graph[checked["instrument"]["@id"]]["@type"] == "DefinedTerm"


def test_disclosure_checks_say_who_decided_and_how(graph):
    def outcome(plan: str) -> list[tuple[str, str | None]]:
        return [
            (
                one["actionStatus"].rpartition("/")[2].removesuffix("ActionStatus"),
                graph[one["agent"]["@id"]]["name"] if "agent" in one else None,
            )
            for one in assessments(graph, "DisclosureCheck", plan)
        ]

    assert outcome(PASSED) == [("Completed", "genome_eu")]
    assert outcome(REFUSED) == [("Failed", "genome_eu")]
    assert outcome(HELD) == [("Potential", None), ("Completed", "A. Officer")]
    assert outcome(DENIED) == [("Failed", "B. Officer")]
    assert outcome(OPEN) == []


def test_sign_offs_are_by_the_policy_or_by_a_person(graph):
    found = {
        one["name"]: graph[one["agent"]["@id"]]["name"] for one in assessments(graph, "SignOff")
    }
    assert found == {
        "Sign-off by Disclosure policy default: approved": "genome_eu",
        "Sign-off of study s2: approved": "A. Officer",
        "Sign-off of study s2: withdrawn": "B. Officer",
    }
    for one in assessments(graph, "SignOff"):
        root = graph["./"]
        assert {root["mainEntity"]["@id"], root["sourceOrganization"]["@id"]} <= set(
            listed(one["object"])
        )
        assert graph[one["instrument"]["@id"]]["@type"] == "CreativeWork"
    assert assessments(graph, "SignOff", OPEN) == []
    assert len(assessments(graph, "SignOff", PASSED)) == 1


def test_answers_are_named_by_digest_only_where_they_left(graph):
    assert graph[run(graph, PASSED)["result"]["@id"]]["identifier"] == "sha256:" + "1" * 64
    assert graph[run(graph, HELD)["result"]["@id"]]["@type"] == "DigitalDocument"
    assert not any("result" in run(graph, plan) for plan in (REFUSED, DENIED, OPEN))


def test_the_workflow_is_a_crate_of_the_installed_statistics(bag):
    folder = bag / "data" / "workflow"
    found = json.loads((folder / "ro-crate-metadata.json").read_text())
    entities = {one["@id"]: one for one in found["@graph"]}
    main = entities[entities["./"]["mainEntity"]["@id"]]
    assert set(main["@type"]) == {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    assert entities[main["programmingLanguage"]["@id"]]["@type"] == "ComputerLanguage"
    installed = json.loads((folder / "statistics.json").read_text())["statistics"]
    assert installed == {name: kind.version for name, kind in AGGREGATES.items()}


def test_the_bag_lists_every_file_and_holds_the_ledger_as_it_was(bag):
    for name, root in (("manifest-sha512.txt", "data"), ("tagmanifest-sha512.txt", "")):
        lines = dict(reversed(line.split("  ")) for line in (bag / name).read_text().splitlines())
        if root:
            assert set(lines) == {
                path.relative_to(bag).as_posix()
                for path in (bag / root).rglob("*")
                if path.is_file()
            }
        for path, digest in lines.items():
            assert hashlib.sha512((bag / path).read_bytes()).hexdigest() == digest
    assert (bag / "bagit.txt").read_text().startswith("BagIt-Version: 1.0\n")
    assert "External-Identifier: urn:uuid:" in (bag / "bag-info.txt").read_text()
    original = bag.parent / "ledger.jsonl"
    assert (bag / "data" / "ledger.jsonl").read_bytes() == original.read_bytes()
    assert Ledger(bag / "data" / "ledger.jsonl").verify() == Ledger(original).head


def test_a_ledger_in_memory_is_exported_too(tmp_path):
    ledger = told()
    folder = write_crate(ledger, tmp_path / "new" / "bag", site="FI", project="demo")
    assert Ledger(folder / "data" / "ledger.jsonl").verify() == ledger.head


def test_a_ledger_without_requests_or_with_damage_is_not_exported(tmp_path):
    empty = Ledger(None)
    empty.append("opened")
    with pytest.raises(UsageError, match="the ledger holds no request"):
        write_crate(empty, tmp_path / "bag", site="FI", project="demo")
    damaged = told(tmp_path / "ledger.jsonl")
    content = (tmp_path / "ledger.jsonl").read_bytes()
    (tmp_path / "ledger.jsonl").write_bytes(content.replace(b"analyst", b"analysX", 1))
    with pytest.raises(LedgerError, match="line 3: it is not what was written"):
        write_crate(damaged, tmp_path / "bag", site="FI", project="demo")
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.jsonl"]
    (tmp_path / "bag").mkdir()
    with pytest.raises(UsageError, match="bag exists; give the crate a folder of its own"):
        write_crate(told(), tmp_path / "bag", site="FI", project="demo")


def test_without_the_library_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rocrate", None)
    monkeypatch.setitem(sys.modules, "rocrate.model", None)
    with pytest.raises(
        UsageError, match=r"needs rocrate; install it with: pip install 'genome-eu\[rocrate\]'"
    ):
        write_crate(told(), tmp_path / "bag", site="FI", project="demo")

"""Lines of a ledger as actions of the Five Safes RO-Crate profile.

One `CreateAction` for each request, and the assessments that led to what became of it:

    request                     CheckValue (signature and digests), ValidationCheck (the plan)
    study_approval, withdrawn   SignOff by a person; without one, SignOff by the policy
    held, approval, denial      DisclosureCheck by a person
    release, refusal            DisclosureCheck by the software, where no person decided

References
----------
Five Safes RO-Crate 0.4, https://w3id.org/5s-crate/0.4
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from genome_eu._version import __version__
from genome_eu.disclosure.chain import Entry, Head
from genome_eu.errors import UsageError

PROFILE: Final = "https://w3id.org/5s-crate/0.4"
WORKFLOW_PROFILE: Final = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
SHP: Final = "https://w3id.org/shp#"
SHA256: Final = "https://www.iana.org/assignments/named-information#sha-256"
SHA512: Final = "https://www.iana.org/assignments/named-information#sha-512"
_STATUS: Final = "http://schema.org/{}ActionStatus"
WORKFLOW: Final = "workflow/"


class FiveSafes:
    """A crate that is told a ledger line by line.

    Parameters
    ----------
    library : module
        `rocrate`.
    site, project : str
        Names of the site, and of the federation that asks.
    """

    def __init__(self, library: Any, site: str, project: str) -> None:
        self._library = library
        self.made = self._library.rocrate.ROCrate(version="1.2")
        self._last = ""
        self._plans: dict[str, dict[str, Any]] = {}
        self._approved: set[str] = set()
        self._decided: set[str] = set()
        self._policy = self._add("#policy", "CreativeWork", name="Disclosure policy of the site")
        self._site = self._add(_id("site", site), "Organization", name=site)
        self._project = self._add(
            _id("project", project), "Project", name=project, member=[self._site]
        )
        self._software = self._add(
            "#genome-eu",
            "SoftwareApplication",
            name="genome_eu",
            softwareVersion=__version__,
            provider=self._site,
        )
        self._profile = self._add(PROFILE, "Profile", name="Five Safes RO-Crate profile")
        self._add(SHA256, "DefinedTerm", name="sha-256 algorithm")
        self._add(SHA512, "DefinedTerm", name="sha-512 algorithm")
        self._workflow = self.made.add_dataset(
            dest_path=WORKFLOW,
            properties={
                "name": "Statistics of genome_eu, asked by plans",
                "conformsTo": {"@id": WORKFLOW_PROFILE},
            },
        )
        licence = self._add("#access", "CreativeWork", name=f"Access by agreement with {site} only")
        root = self.made.root_dataset
        root["name"] = f"Disclosure ledger of {site}"
        root["description"] = (
            f"What was asked of {site} by {project}, what its disclosure control decided, and what "
            f"left. Results are not included."
        )
        root["conformsTo"] = self._profile
        root["mainEntity"] = self._workflow
        root["sourceOrganization"] = self._project
        root["publisher"] = self._site
        root["license"] = licence

    def tell(self, entry: Entry) -> None:
        """Add what one line of the ledger says."""
        said: dict[str, Callable[[Entry], None]] = {
            "policy": self._policy_taken,
            "request": self._request,
            "study_approval": self._study_approval,
            "held": self._held,
            "approval": self._decision,
            "denial": self._decision,
            "release": self._release,
            "refusal": self._refusal,
            "withdrawn": self._withdrawn,
        }
        self._last = entry.time
        if entry.event in said:
            said[entry.event](entry)

    def write(self, folder: Path, head: Head) -> None:
        """Write the metadata beside the copy of the ledger, which it lists.

        Raises
        ------
        UsageError
            No request was told of; the profile demands one.
        """
        if not self._plans:
            raise UsageError("the ledger holds no request, so there is nothing to export")
        self.made.add_file(
            folder / "ledger.jsonl",
            "ledger.jsonl",
            properties={
                "name": f"Ledger of {head.count} lines",
                "encodingFormat": "application/jsonl",
                "identifier": f"head:{head.hash}",
            },
        )
        self.made.root_dataset["datePublished"] = self._last
        self._mention(
            _id("bagit", head.hash),
            "UpdateAction",
            name="BagIt manifests of the crate written",
            additionalType={"@id": f"{SHP}GenerateCheckValue"},
            startTime=self._last,
            instrument={"@id": SHA512},
            agent=self._software,
            object=self.made.root_dataset,
            actionStatus=_STATUS.format("Completed"),
        )
        self.made.write(folder)

    # -- what lines say ----------------------------------------------------------------------

    def _policy_taken(self, entry: Entry) -> None:
        name = str(entry.fields.get("name", entry.fields.get("policy", "unnamed")))
        self._policy = self._add(
            _id("policy", str(entry.number)), "CreativeWork", name=f"Disclosure policy {name}"
        )

    def _request(self, entry: Entry) -> None:
        plan = str(entry.fields.get("plan"))
        if plan in self._plans:
            return  # asked again after a restart
        statistic = entry.fields.get("statistic", "a statistic")
        asked = self._add(f"#plan-{plan}", "PropertyValue", name="plan, by SHA-256", value=plan)
        self._plans[plan] = self._mention(
            _id("query", plan),
            "CreateAction",
            name=f"Computation of {statistic} for study {entry.fields.get('study', '')}".rstrip(),
            agent=self._person(entry.fields.get("reader", "unnamed")),
            instrument=self._workflow,
            object=asked,
            startTime=entry.time,
            actionStatus=_STATUS.format("Active"),
        )
        self._assess("CheckValue", plan, entry, "Signature and digests of the plan: OK", SHA256)
        self._assess("ValidationCheck", plan, entry, "Meaning of the plan: approved", PROFILE)
        if entry.fields.get("study") not in self._approved:
            self._sign_off(plan, entry, f"Sign-off by {self._policy['name']}: approved")

    def _study_approval(self, entry: Entry) -> None:
        study = entry.fields.get("study")
        self._approved.add(str(study))
        self._sign_off(
            entry.hash,
            entry,
            f"Sign-off of study {study}: approved",
            agent=self._person(entry.fields.get("who", "unnamed")),
        )

    def _withdrawn(self, entry: Entry) -> None:
        study = entry.fields.get("study")
        self._approved.discard(str(study))
        self._sign_off(
            entry.hash,
            entry,
            f"Sign-off of study {study}: withdrawn",
            "Failed",
            agent=self._person(entry.fields.get("who", "unnamed")),
        )

    def _held(self, entry: Entry) -> None:
        self._disclosure(entry, "pending, a person must decide", "Potential", None)

    def _decision(self, entry: Entry) -> None:
        approved = entry.event == "approval"
        self._decided.add(str(entry.fields.get("plan")))
        self._disclosure(
            entry,
            "approved" if approved else "not approved",
            "Completed" if approved else "Failed",
            self._person(entry.fields.get("who", "unnamed")),
        )
        if not approved:
            self._ended(entry, "Failed")

    def _release(self, entry: Entry) -> None:
        plan = str(entry.fields.get("plan"))
        if plan not in self._decided:
            self._disclosure(entry, "approved", "Completed", self._software)
        run = self._ended(entry, "Completed")
        if run is not None:
            bundle = str(entry.fields.get("bundle", ""))
            run["result"] = self._add(
                f"#answer-{plan}",
                "DigitalDocument",
                name="Sealed answer, not included",
                identifier=f"sha256:{bundle}",
                hasDigitalDocumentPermission=self._add(
                    f"#permission-{plan}",
                    "DigitalDocumentPermission",
                    permissionType="http://schema.org/ReadPermission",
                    grantee=self._project,
                ),
            )

    def _refusal(self, entry: Entry) -> None:
        if str(entry.fields.get("plan")) not in self._decided:
            self._disclosure(entry, "refused by the policy", "Failed", self._software)
        self._ended(entry, "Failed")

    # -- entities ----------------------------------------------------------------------------

    def _disclosure(self, entry: Entry, outcome: str, status: str, agent: Any) -> None:
        when = {"startTime": entry.time} if status == "Potential" else {"endTime": entry.time}
        more = {"agent": agent} if agent is not None else {}
        self._mention(
            _id("disclosure", entry.hash),
            "AssessAction",
            name=f"Disclosure check of the answer: {outcome}",
            additionalType={"@id": f"{SHP}DisclosureCheck"},
            object=[self.made.root_dataset, *self._of_plan(entry)],
            instrument=self._policy,
            actionStatus=_STATUS.format(status),
            **when,
            **more,
        )

    def _sign_off(
        self, key: str, entry: Entry, name: str, status: str = "Completed", agent: Any = None
    ) -> None:
        self._mention(
            _id("signoff", key),
            "AssessAction",
            name=name,
            additionalType={"@id": f"{SHP}SignOff"},
            endTime=entry.time,
            object=[
                self.made.root_dataset,
                self._workflow,
                self._project,
                *self._of_plan(entry),
            ],
            instrument=self._policy,
            agent=agent or self._software,
            actionStatus=_STATUS.format(status),
        )

    def _assess(self, kind: str, plan: str, entry: Entry, name: str, instrument: str) -> None:
        self._mention(
            _id(kind, plan),
            "AssessAction",
            name=name,
            additionalType={"@id": f"{SHP}{kind}"},
            endTime=entry.time,
            object=[self.made.root_dataset, *self._of_plan(entry)],
            instrument={"@id": instrument},
            agent=self._software,
            actionStatus=_STATUS.format("Completed"),
        )

    def _of_plan(self, entry: Entry) -> list[Any]:
        run = self._plans.get(str(entry.fields.get("plan")))
        return [] if run is None else [run["object"]]

    def _ended(self, entry: Entry, status: str) -> Any:
        run = self._plans.get(str(entry.fields.get("plan")))
        if run is not None:
            run["endTime"] = entry.time
            run["actionStatus"] = _STATUS.format(status)
        return run

    def _person(self, name: Any) -> Any:
        key = _id("person", str(name))
        return self.made.dereference(key) or self._add(
            key, "Person", name=str(name), memberOf=[self._project]
        )

    def _mention(self, key: str, kind: str, **properties: Any) -> Any:
        made = self._add(key, kind, **properties)
        self.made.root_dataset.append_to("mentions", made)
        return made

    def _add(self, key: str, kind: str, **properties: Any) -> Any:
        entity = self._library.model.ContextEntity(self.made, key, properties={"@type": kind})
        for name, value in properties.items():
            entity[name] = value
        return self.made.add(entity)


def _id(kind: str, key: str) -> str:
    """The same id for the same thing whenever the ledger is exported."""
    return f"#{kind.lower()}-{uuid.uuid5(uuid.NAMESPACE_OID, f'{kind}:{key}')}"

"""The carrier of sites in this process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import genome_eu as ge
from genome_eu.errors import NeedsReview, Refused
from genome_eu.federation.carriers.memory import Memory
from genome_eu.federation.coordinator import Federation
from genome_eu.federation.single import open_cohort
from tests.federation.carrier_contract import CarrierContract
from tests.federation.small_sites import Made


class TestMemory(CarrierContract):
    @contextlib.contextmanager
    def opened(self, made: dict[str, Made], folder: Path, policy: Path) -> Iterator[Federation]:
        cohorts = {name: ge.open_cohort(site.store) for name, site in made.items()}
        yield ge.federate(cohorts, policy=policy)


class TestMemoryWithStudy(CarrierContract):
    """Answers go through bundles in a study folder."""

    @contextlib.contextmanager
    def opened(self, made: dict[str, Made], folder: Path, policy: Path) -> Iterator[Federation]:
        lines = ['name = "small"']
        for name, site in made.items():
            lines += ["[[site]]", f'name = "{name}"', f'cohort = "{site.store}"']
            lines += [f'policy = "{policy}"']
        (folder / "federation.toml").write_text("\n".join(lines) + "\n")
        yield ge.open_federation(folder / "federation.toml", studies=folder / "studies")


def test_a_site_without_a_policy_lets_nothing_out(made):
    site = open_cohort(made["ES"].store)._site
    assert (site.policy, site.airlock) == (None, None)
    eu = Federation("none", Memory({"ES": site}), ("ES",))
    with pytest.raises(Refused, match="site ES: .*has no disclosure policy; nothing leaves"):
        eu.frequencies()


def test_only_releases_are_carried(made):
    class Leaky:
        cohort_digest = "c" * 64

        def release(self, plan, inputs, spool):
            return {"genotypes": made["ES"].dosage}

    eu = Federation("leaky", Memory({"ES": Leaky()}), ("ES",))
    with pytest.raises(TypeError, match="only the airlock's releases are carried"):
        eu.frequencies()


def test_what_a_person_must_decide_about_stays_in_this_process_too(made):
    cohorts = {name: ge.open_cohort(site.store) for name, site in made.items()}
    with pytest.raises(NeedsReview, match=r"site ES: .*the site's data officer must decide"):
        ge.federate(cohorts, policy="default").frequencies()

"""One changed byte is noticed, wherever it is: in bundles, plans and rosters, small and large.

Covers, sealed messages and ledgers: see `test_envelope` and `tests/disclosure/test_ledger.py`.
"""

from __future__ import annotations

import contextlib
import operator
import os
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from genome_eu.canonical import canonical
from genome_eu.errors import BadInput, BundleError, SignatureError
from genome_eu.federation.bundle import Bundle
from genome_eu.federation.cover import read_cover
from genome_eu.federation.envelope import unseal
from genome_eu.federation.keys import SecretKeys, signature_bytes, verify
from genome_eu.federation.plan import Plan
from genome_eu.federation.roster import sign_roster, verify_roster
from tests.federation import messages
from tests.federation.keyed import KEYS, flips, keyed_roster, roster_text, sealed_by
from tests.federation.mutations import rewrite


def everything(path: Path) -> Any:
    """All that a bundle says, each array checked."""
    bundle = Bundle(path)
    arrays = {name: bundle.array(name).tobytes() for name in map(NAME, bundle.manifest.members)}
    if bundle.manifest.kind == "plan":
        bundle.inputs()
    return bundle.manifest, arrays


NAME = operator.attrgetter("name")


def unnoticed(path: Path, places: Iterable[int], rng: random.Random) -> list[int]:
    """Where a changed byte of a bundle is not refused."""
    sound, content = everything(path), path.read_bytes()
    found = []
    with path.open("r+b", buffering=0) as file:
        for place in places:
            os.pwrite(file.fileno(), bytes([content[place] ^ rng.randrange(1, 256)]), place)
            with contextlib.suppress(BundleError):
                everything(path)
                found.append(place)
            os.pwrite(file.fileno(), content[place : place + 1], place)
    assert everything(path) == sound
    return found


@pytest.mark.parametrize("make", [messages.masked, messages.refusal])
def test_every_changed_byte_of_a_small_bundle_is_noticed(tmp_path: Path, make: Any):
    path = make(tmp_path / "bundle.tar")
    assert unnoticed(path, range(path.stat().st_size), random.Random(1)) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plan", "answer"])
def test_ten_thousand_changed_bytes_of_a_large_bundle_are_noticed(tmp_path: Path, kind: str):
    make = {"plan": messages.plan_bundle, "answer": messages.answer}[kind]
    path = make(tmp_path / "bundle.tar", 8000)
    assert path.stat().st_size > 250_000
    rng = random.Random(2)
    assert unnoticed(path, rng.choices(range(path.stat().st_size), k=10_000), rng) == []


def test_every_changed_byte_of_a_plan_makes_it_another_or_none():
    plan = Plan.model_validate(messages.plan())
    for damaged in flips(canonical(plan.model_dump(mode="json")), (0x01, 0x20, 0x80)):
        try:
            other = Plan.model_validate_json(damaged)
        except ValidationError:
            continue
        assert other.hash != plan.hash


def test_changed_bytes_of_a_sealed_plan_with_inputs_are_noticed(tmp_path: Path):
    """On its way: cover and sealed bytes, until somebody at a site has it open."""
    roster = keyed_roster(tmp_path)
    content = messages.plan_bundle(tmp_path / "plan.tar").read_bytes()
    cover, sealed = sealed_by("hub", tmp_path, roster, content)
    opened = tmp_path / "opened"
    unseal(sealed, read_cover(cover.content, roster), KEYS["FI"], opened, 2**20)
    assert opened.read_bytes() == content
    opened.unlink()
    for damaged in flips(cover.content, (0x04,)):
        with pytest.raises(BundleError):
            read_cover(damaged, roster)
    whole, rng = sealed.read_bytes(), random.Random(4)
    for place in rng.sample(range(len(whole)), 500):
        rewrite(sealed, whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises(BundleError):
            unseal(sealed, cover, KEYS["FI"], opened, 2**20)
        assert not opened.exists()


@pytest.mark.slow
def test_ten_thousand_changed_bytes_of_a_large_roster_are_noticed(tmp_path: Path):
    keys = KEYS | {f"S{number}": SecretKeys.new() for number in range(40)}
    more = "".join(
        f'[[site]]\nname = "{name}"\n{keys[name].public.lines()}' for name in keys if name[0] == "S"
    )
    path = tmp_path / "federation.toml"
    path.write_text(f"{roster_text()}\n{more}")
    sign_roster(path, KEYS["hub"])
    content = path.read_bytes()
    rng = random.Random(3)
    # The signature is over the exact bytes; what still is a roster must fail by it.
    coordinator, signature = verify_roster(path).coordinator, signature_of(path)
    for _ in range(10_000):
        damaged = bytearray(content)
        damaged[rng.randrange(len(content))] ^= rng.randrange(1, 256)
        with pytest.raises(SignatureError):
            verify(coordinator.signing, "roster", bytes(damaged), signature)
    for _ in range(100):
        damaged = bytearray(content)
        damaged[rng.randrange(len(content))] ^= rng.randrange(1, 256)
        rewrite(path, damaged)
        with pytest.raises(BadInput):
            verify_roster(path)


def signature_of(path: Path) -> bytes:
    return signature_bytes(path.with_name(f"{path.name}.sig").read_text().strip())

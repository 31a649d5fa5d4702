"""Inputs made to hurt: to take all memory or time, to be read as something else, to forge a line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.federation import messages, mutations
from tests.federation.keyed import roster_text
from tests.federation.test_envelope import signed_as


def manifest_of(folder: Path, **changes: str) -> bytes:
    """A plan bundle whose manifest holds raw JSON in places."""
    (_, head), *members, _ = mutations.entries_of(messages.plan_bundle(folder / "p").read_bytes())
    said = json.loads(head) | {key: f"@{key}@" for key in changes}
    text = json.dumps(said)
    for key, raw in changes.items():
        text = text.replace(f'"@{key}@"', raw)
    digest = hashlib.sha256(text.encode()).hexdigest().encode()
    return mutations.tar([("manifest.json", text.encode()), *members, ("manifest.sha256", digest)])


def array_of(folder: Path, header: str, numbers: bytes = b"") -> bytes:
    """An answer whose first array has this header."""
    (_, head), *members, _ = mutations.entries_of(messages.answer(folder / "a").read_bytes())
    array = b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode("latin1") + numbers
    manifest = json.loads(head)
    manifest["members"][0] |= {"bytes": len(array), "sha256": hashlib.sha256(array).hexdigest()}
    members[0] = (members[0][0], array)
    head = json.dumps(manifest).encode()
    digest = hashlib.sha256(head).hexdigest().encode()
    return mutations.tar([("manifest.json", head), *members, ("manifest.sha256", digest)])


def plan_with(**changes: Any) -> str:
    return json.dumps(messages.plan() | changes)


def traits_of(raw: str) -> str:
    """A plan whose traits are raw JSON."""
    return plan_with(parameters={"traits": "@"}).replace('"@"', raw)


def inputs_of(number: int) -> str:
    return plan_with(inputs={f"{one:x}": 1 for one in range(number)})


def shaped(shape: str, kind: str = "<i8") -> str:
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}"


DEEP = "[" * 400 + "]" * 400
#: Each with the reader that it is for.
HOSTILE: dict[str, tuple[str, Callable[[Path], bytes]]] = {
    "a manifest of 15 MiB of lists": (
        "bundle",
        lambda folder: manifest_of(folder, evidence="[" + "[]," * (5 * 2**20) + "[]]"),
    ),
    "a manifest of 15 MiB of objects": (
        "bundle",
        lambda folder: manifest_of(folder, evidence="[" + "{}," * (5 * 2**20) + "{}]"),
    ),
    "a manifest of 15 MiB of numbers": (
        "bundle",
        lambda folder: manifest_of(folder, members="[" + "1," * (7 * 2**20) + "1]"),
    ),
    "a plan of 15 MiB of numbers for names": (
        "bundle",
        lambda folder: manifest_of(folder, content=traits_of("[" + "1," * (7 * 2**20) + "1]")),
    ),
    "a plan of a million inputs": (
        "bundle",
        lambda folder: manifest_of(folder, content=inputs_of(10**6)),
    ),
    "a manifest of 40 MiB": (
        "bundle",
        lambda folder: manifest_of(folder, evidence='"' + "x" * 40 * 2**20 + '"'),
    ),
    "a plan too deep to be hashed": (
        "bundle",
        lambda folder: manifest_of(
            folder, content=plan_with(parameters={"a": "@"}).replace('"@"', DEEP)
        ),
    ),
    "a plan with NaN": (
        "bundle",
        lambda folder: manifest_of(folder, content=plan_with(parameters={"a": float("nan")})),
    ),
    "a plan of more shards than there are numbers": (
        "bundle",
        lambda folder: manifest_of(
            folder, content=plan_with(statistic="genotype_counts", rows=10**15, rows_per_shard=1)
        ),
    ),
    "a message in two lines": (
        "bundle",
        lambda folder: manifest_of(folder, message='"no\\u001b[2J\\nsite ES agrees"'),
    ),
    "more rows than memory": ("plan", lambda _: plan_with(rows=2**62, rows_per_shard=1).encode()),
    "petabytes": ("bundle", lambda folder: array_of(folder, shaped("(1125899906842624,)"))),
    "a product that wraps to nothing": (
        "bundle",
        lambda folder: array_of(folder, shaped("(4294967296, 4294967296)")),
    ),
    "an empty array of terabytes": (
        "bundle",
        lambda folder: array_of(folder, shaped("(0, 4294967296, 4294967296)")),
    ),
    "a negative size": ("bundle", lambda folder: array_of(folder, shaped("(-1,)"), bytes(8))),
    "flags that are neither": (
        "bundle",
        lambda folder: array_of(folder, shaped("(3,)", "|b1"), b"\0\1\2"),
    ),
    "a header of 60,000 signs": ("bundle", lambda folder: array_of(folder, "-" * 60_000 + "1")),
    "a header of 30,000 brackets": ("bundle", lambda folder: array_of(folder, "(" * 30_000)),
    "a header of 20,000 sums": ("bundle", lambda folder: array_of(folder, "1" + "+1" * 20_000)),
    "a roster of one key with 100,000 parts": (
        "roster",
        lambda _: (roster_text() + ".".join("a" * 100_000) + " = 1").encode(),
    ),
    "a roster of many keys with many parts": (
        "roster",
        lambda _: (roster_text() + f"[x]\n{'.'.join('a' * 99)}.b = 1\n" * 1000).encode(),
    ),
    "a policy of brackets": ("policy", lambda _: b"name = " + b"[" * 100_000),
    "a policy of one long number": ("policy", lambda _: b"min_people = " + b"9" * 100_000),
    "a policy of one key with many parts": ("policy", lambda _: b"a." * 100_000 + b"a = 1"),
    "a roster with a key of two lines": (
        "roster",
        lambda _: roster_text(top='"\\u001b[2Ja\\nb" = 1').encode(),
    ),
    "a cover with a key of two lines": ("cover", lambda _: signed_as(b'{"a\\nb\\u001b[2J":1}')),
    "a ready message of one mebibyte of brackets": ("ready", lambda _: b"[" * 2**20),
    "a ledger of one line without an end": ("ledger", lambda _: b"x" * 2**24),
    "a ledger of a million empty lines": ("ledger", lambda _: b"\n" * 10**6),
}

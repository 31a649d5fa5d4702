"""Bundles: one plan, answer or refusal as a tar with `manifest.json` first, then `.npy` members.

Every member's size and SHA-256 stand in the manifest and are checked when it is read; the last
member is the SHA-256 of the manifest itself. Nothing is pickled, no path leaves the archive, and a
member that the manifest does not name is an error. Headers and padding have one spelling, which
is checked too: nothing can be hidden between the members, and no damaged byte goes unnoticed.
(Signature and sealing wrap the finished tar; they have no part in its content.)
"""

from __future__ import annotations

from genome_eu.federation.bundle.arrays import FileArrays, MemoryArrays
from genome_eu.federation.bundle.manifest import EvidenceRecord, Manifest, Member, SecureSum
from genome_eu.federation.bundle.reading import Bundle, judged_from
from genome_eu.federation.bundle.writing import (
    record,
    write_answer,
    write_masked,
    write_plan,
    write_refusal,
)

__all__ = [
    "Bundle",
    "EvidenceRecord",
    "FileArrays",
    "Manifest",
    "Member",
    "MemoryArrays",
    "SecureSum",
    "judged_from",
    "record",
    "write_answer",
    "write_masked",
    "write_plan",
    "write_refusal",
]

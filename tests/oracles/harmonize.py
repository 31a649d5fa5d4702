"""Finding a variant in a site's list, one comparison after another, as the rules say."""

from __future__ import annotations

COMPLEMENT = {"A": "T", "C": "G", "G": "C", "T": "A"}


def minimal(position, ref, alt):
    """Cut shared bases off the end, then off the start, one at a time."""
    if not set((ref + alt).upper()) <= set("ACGTN"):
        return position, ref, alt
    ref, alt = ref.upper(), alt.upper()
    while len(ref) > 1 and len(alt) > 1 and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while len(ref) > 1 and len(alt) > 1 and ref[0] == alt[0]:
        position, ref, alt = position + 1, ref[1:], alt[1:]
    return position, ref, alt


def is_single(ref, alt):
    return ref in COMPLEMENT and alt in COMPLEMENT and ref != alt


def is_palindromic(ref, alt):
    return is_single(ref, alt) and COMPLEMENT[ref] == alt


def relation(mine, other):
    """How two variants (position, ref, alt) at one place are written; None if they differ."""
    (where, ref, alt), (there, other_ref, other_alt) = minimal(*mine), minimal(*other)
    if where != there:
        return None
    if (ref, alt) == (other_ref, other_alt):
        return "exact"
    if not is_single(ref, alt) or is_palindromic(ref, alt):
        return None
    if (alt, ref) == (other_ref, other_alt):
        return "swapped"
    if not is_single(other_ref, other_alt):
        return None
    turned = COMPLEMENT[other_ref], COMPLEMENT[other_alt]
    return {(ref, alt): "strand", (alt, ref): "strand_swapped"}.get(turned)


def find(row, listed):
    """(kind, place in the list or None) of one panel row (contig, position, ref, alt)."""
    contig, *variant = row
    where, ref, alt = minimal(*variant)
    there = [(place, one[1:]) for place, one in enumerate(listed) if one[0] == contig]
    here = [one for _, one in there if minimal(*one)[0] == where]
    same = [(place, one) for place, one in there if relation(one, variant)]
    if len(same) > 1:
        return "duplicate", None
    if same:
        ((place, one),) = same
        kind = relation(one, variant)
        crowded = sum(other[0] == one[0] for _, other in there) > 1 or len(here) > 1
        if "swapped" in kind and crowded:
            return "multiallelic", None
        return kind, place
    other_way = [one for one in here if minimal(*one)[1:] == (alt, ref)]
    if other_way and not is_single(ref, alt):
        return "indel", None
    if other_way and is_palindromic(ref, alt):
        return "palindromic", None
    if here and not any(minimal(*one)[1][:1] == ref[:1] for one in here):
        return "mismatch", None
    return "absent", None

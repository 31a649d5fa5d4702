"""Genotypes where some people have one copy, straight from the alleles of their calls."""

from __future__ import annotations

import numpy as np


def calls_of_site(alleles, haploid, counted=None):
    """Each person's call: None if missing or not possible, else the tuple of alleles they have.

    `alleles` has two numbers for each person, -1 missing and -2 the fill of a haploid call.
    """
    calls = []
    for person, pair in enumerate(alleles):
        present = [allele for allele in pair if allele != -2]
        if not present or -1 in present or (counted is not None and not counted[person]):
            calls.append(None)
        elif haploid[person]:
            calls.append((present[0],) if len(set(present)) == 1 else None)
        else:
            calls.append(tuple(present) if len(present) == 2 else (present[0], present[0]))
    return calls


def counts(alleles, alt, haploid, people):
    """Numbers of one (site, ALT) over the chosen people, by the names of `Frequencies`."""
    calls = [
        call
        for call, chosen in zip(calls_of_site(alleles, haploid), people, strict=True)
        if chosen and call is not None
    ]
    copies = [(len(call), call.count(alt)) for call in calls]
    return {
        "n_called": len(calls),
        "n_missing": int(np.sum(people)) - len(calls),
        "n_hom_ref": copies.count((2, 0)),
        "n_het": copies.count((2, 1)),
        "n_hom_alt": copies.count((2, 2)),
        "n_hap_ref": copies.count((1, 0)),
        "n_hap_alt": copies.count((1, 1)),
        "allele_count": sum(copy for _, copy in copies),
        "allele_number": sum(ploidy for ploidy, _ in copies),
    }


def dosage(alleles, alt, haploid, halved):
    """The dosage of each person in a model, -1 where the call is missing."""
    found = []
    for call in calls_of_site(alleles, haploid):
        if call is None:
            found.append(-1)
        elif len(call) == 1:
            found.append((1 if halved else 2) * call.count(alt))
        else:
            found.append(call.count(alt))
    return np.array(found)


def alleles(n_alts, haploid, seed, *, missing=0.08, wrong=0.1, fill=0.5):
    """Random calls of one site per entry of `n_alts`, int8 (sites, people, 2).

    A share of haploid calls has two different alleles, and of the others a share is written as one
    allele with a fill.
    """
    rng = np.random.default_rng(seed)
    people = len(haploid)
    calls = np.empty((len(n_alts), people, 2), np.int8)
    for site, alts in enumerate(n_alts):
        share = rng.dirichlet(np.full(alts + 1, 2.0))
        pairs = rng.choice(alts + 1, (people, 2), p=share)
        single = haploid & (rng.random(people) >= wrong)
        pairs[single, 1] = np.where(rng.random(single.sum()) < fill, -2, pairs[single, 0])
        lost = rng.random(people) < missing
        pairs[lost] = np.where(pairs[lost] == -2, -2, -1)
        calls[site] = pairs
    return calls

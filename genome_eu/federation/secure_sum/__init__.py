"""Secure sum: sites hide their own numbers under masks that cancel in the sum over all of them.

Two phases. *Ready*: every participant publishes a signed message with a fresh key (`ready`).
*Send*: with everybody's message verified, each site turns its numbers into words of a ring (`ring`,
within the ranges of `ranges`) and adds one mask for every other participant (`masks`); the words
of all sites add up to the words of the total (`sums`), and to nothing else that anybody can read.
A salted commitment (`commitment`) lets an auditor inside the site check later what was hidden.

Everything here is a function of its arguments: the same secret, messages, plan and numbers give
the same bytes. A site sends one masked message in one context and keeps it to send again; two
different ones under the same masks would tell their difference.
"""

from genome_eu.federation.secure_sum.commitment import commit, opens, shard_salt
from genome_eu.federation.secure_sum.masks import context
from genome_eu.federation.secure_sum.ranges import MOST_PEOPLE
from genome_eu.federation.secure_sum.ready import (
    Floors,
    Ready,
    agreed,
    new_secret,
    public_key,
    read_ready,
)
from genome_eu.federation.secure_sum.sums import mask, openly, summable, total

__all__ = [
    "MOST_PEOPLE",
    "Floors",
    "Ready",
    "agreed",
    "commit",
    "context",
    "mask",
    "new_secret",
    "openly",
    "opens",
    "public_key",
    "read_ready",
    "shard_salt",
    "summable",
    "total",
]

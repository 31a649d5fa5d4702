"""What may leave a site: the policy, the checks, and the one door out."""

from genome_eu.disclosure.airlock import Release, release
from genome_eu.disclosure.checks import Evidence, Facts
from genome_eu.disclosure.policy import Policy, load_policy

__all__ = ["Evidence", "Facts", "Policy", "Release", "load_policy", "release"]

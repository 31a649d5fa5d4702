"""What may leave a site: the policy, the checks, and the one door out."""

from genome_eu.disclosure.airlock import Airlock, Judged, Release
from genome_eu.disclosure.checks import Evidence, Facts
from genome_eu.disclosure.policy import Policy, load_policy

__all__ = ["Airlock", "Evidence", "Facts", "Judged", "Policy", "Release", "load_policy"]

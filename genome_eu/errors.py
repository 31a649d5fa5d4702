"""One exception tree. Every message says what is wrong, where, and what to do.

The command line maps each branch to its exit code and prints the message as one line;
a traceback is therefore always a bug of ours.
"""

from __future__ import annotations


class GenomeEuError(Exception):
    """Root of everything that this package raises on purpose."""

    exit_code = 3

    def __str__(self) -> str:
        # It may quote what somebody else sent: nothing of that moves a cursor or begins a line.
        return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in super().__str__())


class UsageError(GenomeEuError, ValueError):
    """The question cannot be asked like this (exit code 2)."""

    exit_code = 2


class BadInput(GenomeEuError, ValueError):
    """A file, table or value given to us is wrong (exit code 3)."""


class SourceError(BadInput):
    """A genotype file (VCF, BCF, PLINK, Zarr) cannot be read as it is."""


class SampleError(BadInput):
    """Sample ids or the sample table do not fit the genotypes."""


class TraitError(BadInput):
    """A trait or covariate cannot be used in the model asked for."""


class PanelError(BadInput):
    """The variant lists of the sites do not make a common panel."""


class PolicyError(BadInput):
    """A disclosure policy file is not valid; nothing leaves under it."""


class BundleError(BadInput):
    """A bundle is damaged, incomplete, or not what its manifest says."""


class SignatureError(BundleError):
    """A signature is missing, or not that of the party that it must come from."""


class LedgerError(BadInput):
    """A site's ledger, or what it keeps of earlier releases, is not what was written."""


class StudyError(BadInput):
    """A study folder cannot be continued."""


class Refused(GenomeEuError, PermissionError):
    """A site's policy does not let the answer out (exit code 4)."""

    exit_code = 4


class NeedsReview(Refused):
    """A person at the site must decide before the answer may leave (exit code 4)."""


class NoAnswer(GenomeEuError, TimeoutError):
    """A site did not answer in time (exit code 5)."""

    exit_code = 5

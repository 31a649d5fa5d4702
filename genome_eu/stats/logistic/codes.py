"""What a test that was not made, or that made another test necessary, is called."""

from __future__ import annotations

#: What `errcode` counts in, in PLINK's words where PLINK has one.
ERRCODES = (
    ".",
    "CONST_ALLELE",
    "VIF_INFINITE",
    "TOO_FEW",
    "WITHHELD",
    "CONST_TRAIT",
    "SEPARATION",
    "LOGISTIC_CONVERGE_FAIL",
    "FIRTH_CONVERGE_FAIL",
    "SPA_CONVERGE_FAIL",
)
(
    FIT,
    CONST_ALLELE,
    VIF_INFINITE,
    TOO_FEW,
    WITHHELD,
    CONST_TRAIT,
    SEPARATION,
    LOGISTIC_CONVERGE_FAIL,
    FIRTH_CONVERGE_FAIL,
    SPA_CONVERGE_FAIL,
) = range(len(ERRCODES))

#: What `LogisticResult.method` counts in: where the numbers of a test come from.
METHODS = ("score", "spa", "firth", "firth-full", "wald")
SCORE, SPA, FIRTH, FIRTH_FULL, WALD = range(len(METHODS))

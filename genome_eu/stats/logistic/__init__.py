"""Logistic association of binary traits with dosage, adjusted for covariates.

With site effects (the default) every site has an intercept of its own, profiled out at the site, so
that sums over sites give the pooled fit with one indicator per site; without them the design has
one common intercept. Whatever a site adds to the linear predictor, as a leave-one-chromosome-out
prediction, is an offset per person.

In turn: the null model (`start_null`, `summarize_null`, `update_null`, `finish_null`); the score
tests of every row (`summarize_score`, `finalize_score`); and for rows chosen from them, saddlepoint
p-values, Firth's approximate test, or fits of all parameters, each in rounds of `summarize_*` at
the sites and `update_*` at the coordinator until none is active.
"""

from genome_eu.stats.logistic.codes import ERRCODES, METHODS
from genome_eu.stats.logistic.firth import (
    FirthFits,
    FirthSums,
    ProductSums,
    finalize_firth,
    projection,
    start_firth,
    summarize_firth,
    summarize_products,
    update_firth,
)
from genome_eu.stats.logistic.full import (
    FitSums,
    FullResult,
    finalize_full,
    start_full,
    summarize_full,
    update_full,
)
from genome_eu.stats.logistic.model import Design, case_control, design
from genome_eu.stats.logistic.newton import Fits
from genome_eu.stats.logistic.null import (
    Fitted,
    Null,
    NullSums,
    finish_null,
    fit_people,
    start_null,
    summarize_null,
    update_null,
)
from genome_eu.stats.logistic.result import LogisticResult, replace_tests, score_tests, untested
from genome_eu.stats.logistic.rounds import (
    CUTOFF,
    OF_EVERY_ROW,
    TESTS,
    WITH_FIRTH_NULL,
    Ask,
    People,
    Test,
    answer,
    follow_up,
)
from genome_eu.stats.logistic.score import (
    DOSAGE_SCORE_SUMS,
    DosageRawScoreSums,
    DosageScoreSums,
    HardCallsOfClasses,
    RawScoreSums,
    ScoreResult,
    ScoreSums,
    columns_at_a_time,
    fewest_alleles,
    finalize_score,
    numbers_per_row,
    summarize_score,
    summarize_score_raw,
    summarize_score_stratified,
)
from genome_eu.stats.logistic.spa import (
    SpaSums,
    Tails,
    finalize_spa,
    start_spa,
    summarize_spa,
    update_spa,
)
from genome_eu.stats.logistic.stratified import (
    STRATIFIED_SUMS,
    DosageStratifiedSums,
    StratifiedSums,
    finalize_stratified,
    fit_own_null,
    summarize_stratified,
)
from genome_eu.stats.logistic.weights import people_behind

__all__ = [
    "CUTOFF",
    "DOSAGE_SCORE_SUMS",
    "ERRCODES",
    "METHODS",
    "OF_EVERY_ROW",
    "STRATIFIED_SUMS",
    "TESTS",
    "WITH_FIRTH_NULL",
    "Ask",
    "Design",
    "DosageRawScoreSums",
    "DosageScoreSums",
    "DosageStratifiedSums",
    "FirthFits",
    "FirthSums",
    "FitSums",
    "Fits",
    "Fitted",
    "FullResult",
    "HardCallsOfClasses",
    "LogisticResult",
    "Null",
    "NullSums",
    "People",
    "ProductSums",
    "RawScoreSums",
    "ScoreResult",
    "ScoreSums",
    "SpaSums",
    "StratifiedSums",
    "Tails",
    "Test",
    "answer",
    "case_control",
    "columns_at_a_time",
    "design",
    "fewest_alleles",
    "finalize_firth",
    "finalize_full",
    "finalize_score",
    "finalize_spa",
    "finalize_stratified",
    "finish_null",
    "fit_own_null",
    "fit_people",
    "follow_up",
    "numbers_per_row",
    "people_behind",
    "projection",
    "replace_tests",
    "score_tests",
    "start_firth",
    "start_full",
    "start_null",
    "start_spa",
    "summarize_firth",
    "summarize_full",
    "summarize_null",
    "summarize_products",
    "summarize_score",
    "summarize_score_raw",
    "summarize_score_stratified",
    "summarize_spa",
    "summarize_stratified",
    "untested",
    "update_firth",
    "update_full",
    "update_null",
    "update_spa",
]

"""Whole-genome regression: a ridge regression in two levels, and tests beside its predictions.

REGENIE's model. Level 0 predicts the traits from each block of rows, level 1 from the predictions
of all blocks; both are fitted to all folds of people but one and predict for that one. A row is
then tested beside the prediction of all chromosomes but its own, which stands for relatedness and
for the many small effects elsewhere.

Whatever leaves a site is a sum over the people of a fold. Predictions and offsets are people's:
they are `Private`. Each site divides its own people into folds, in their order, so that the
federated answer is that of a pooled run with the same folds. People of a site that is too small for
folds are in none: weights that were fitted to all folds predict for them.

Levels 0 and 1 are of traits that share their people. Step 2 is of any traits, in groups as those of
a linear model, each with its own people and degrees of freedom.

With site effects there is one intercept per site: rows, covariates and traits are centred within
the site, and missing calls are the site's own mean. Predictions are centred over everybody, as in
a pooled run in which the sites are covariates.

References
----------
Mbatchou et al. (2021), Nature Genetics 53:1097–1103.
"""

from genome_eu.stats.ridge.level0 import (
    BlockSums,
    BlockWeights,
    CountSums,
    predict_block,
    solve_block,
    summarize_block,
    summarize_counts,
)
from genome_eu.stats.ridge.level1 import (
    Level1Fit,
    Level1Moments,
    Level1Sums,
    Offsets,
    Predictions,
    Standard,
    leave_one_out,
    solve_level1,
    standardize,
    summarize_level1,
    summarize_moments,
)
from genome_eu.stats.ridge.logistic import (
    GradientSums,
    InformationSums,
    LogisticRidge,
    left_of_cases,
    logistic_fit,
    summarize_gradients,
    summarize_information,
)
from genome_eu.stats.ridge.model import (
    AUTOSOMES,
    FOLDS,
    GRID,
    FoldedDesign,
    FoldSums,
    assign_folds,
    covariate_effects,
    design_effects,
    folded,
    joined_id,
    liability_penalties,
    offsets_id,
    penalties,
    places,
    predictions_id,
    summarize_folds,
)
from genome_eu.stats.ridge.score import (
    SCORE_SUMS,
    DosageRawRidgeScoreSums,
    DosageRidgeScoreSums,
    RawRidgeScoreSums,
    Residuals,
    ResidualSums,
    RidgeScoreSums,
    ScoreResult,
    finalize,
    residual_design,
    residuals,
    summarize_residuals,
    summarize_score,
)

__all__ = [
    "AUTOSOMES",
    "FOLDS",
    "GRID",
    "SCORE_SUMS",
    "BlockSums",
    "BlockWeights",
    "CountSums",
    "DosageRawRidgeScoreSums",
    "DosageRidgeScoreSums",
    "FoldSums",
    "FoldedDesign",
    "GradientSums",
    "InformationSums",
    "Level1Fit",
    "Level1Moments",
    "Level1Sums",
    "LogisticRidge",
    "Offsets",
    "Predictions",
    "RawRidgeScoreSums",
    "ResidualSums",
    "Residuals",
    "RidgeScoreSums",
    "ScoreResult",
    "Standard",
    "assign_folds",
    "covariate_effects",
    "design_effects",
    "finalize",
    "folded",
    "joined_id",
    "leave_one_out",
    "left_of_cases",
    "liability_penalties",
    "logistic_fit",
    "offsets_id",
    "penalties",
    "places",
    "predict_block",
    "predictions_id",
    "residual_design",
    "residuals",
    "solve_block",
    "solve_level1",
    "standardize",
    "summarize_block",
    "summarize_counts",
    "summarize_folds",
    "summarize_gradients",
    "summarize_information",
    "summarize_level1",
    "summarize_moments",
    "summarize_residuals",
    "summarize_score",
]

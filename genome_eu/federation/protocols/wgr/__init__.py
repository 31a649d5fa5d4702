"""Whole-genome regression over all sites: REGENIE's two steps.

After the panel and the moments, in six rounds:

1. products of covariates and traits in each fold;
2. alleles of every row in each fold, from which the rows of step 1 are chosen;
3. products of the rows of each block with each other, with covariates and traits, in each fold;
4. products of the predictions of all blocks with each other and with the traits, in each fold;
   the predictions stay, under an id;
5. products of what is left of the traits, for each chromosome left out; the offsets stay, under
   the id of the regression;
6. sums of every row with what is left, as of a linear model: step 2.

Of binary traits, round 4 has the moments of the predictions only, and is followed by a null
logistic model (about 6 rounds, see `logistic`), for each trait the information matrix of the
predictions in each fold and about 12 rounds of gradients; and step 2 is that of `logistic`, once
for each chromosome.

Traits that lack different people are groups, each a regression of its own people: rounds 1 to 5 are
made of one group after the other, and a sixth joins what the sites keep under one id and sums the
residuals of all; step 2 is of all traits in one pass, with each trait's own people and df. A trait
is then tested as if it were asked for alone. REGENIE saves the time by one regression of everybody
who has any of the traits, with missing ones at their mean: there the predictions of a trait shrink
with the number of people who lack it, and change with the traits that were asked for beside it. The
price is a pass of step 1, and its part of the sites' budgets, for every set of people.

Sites with fewer people than `smallest_site` fit nothing, so that neither small blocks nor few folds
are needed for them: their part of rounds 1, 3 and 4 is empty. One more round at the beginning has
products of covariates and traits over everybody; the counts of round 2 are of their people too, so
that rows below a floor there are not used. What it takes of them is round 5: people for each
chromosome left out, as columns.

A later question may name the regression. It begins with products of covariates and traits over
everybody, as of a linear model, and round 5.
"""

from __future__ import annotations

from genome_eu.federation.protocols.wgr.model import StepOne, WgrFit, WgrSettings
from genome_eu.federation.protocols.wgr.step_one import step_one, step_one_kept
from genome_eu.federation.protocols.wgr.step_two import step_two

__all__ = ["StepOne", "WgrFit", "WgrSettings", "step_one", "step_one_kept", "step_two"]

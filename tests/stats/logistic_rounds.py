"""What a protocol does for a logistic model: the same rounds, over people split into sites."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genome_eu.kernels import PackedBlock, backend, pack
from genome_eu.stats import logistic
from genome_eu.stats.aggregate import merge


@dataclass
class Study:
    """Sites of one study, and what the coordinator has learnt from them.

    Parameters
    ----------
    dosage : int8 array, shape (rows, people)
    x : float64 array, shape (people, covariates)
    y : float64 array, shape (people, traits)
    site : array, shape (people,)
    offset : float64 array, shape (people, traits), optional
    """

    dosage: np.ndarray
    x: np.ndarray
    y: np.ndarray
    site: np.ndarray
    offset: np.ndarray | None = None
    site_effects: bool = True
    kernels: str = "cpu"

    def __post_init__(self):
        self.traits = self.y.shape[1]
        self.rounds: list[str] = []
        self.here = [self.site == place for place in np.unique(self.site)]
        scaled = standardized(self.x)
        self.designs = [
            logistic.design(
                scaled[here],
                self.y[here],
                site_effects=self.site_effects,
                offset=None if self.offset is None else self.offset[here],
            )
            for here in self.here
        ]
        self.null, fitted = self._fit_null(firth=False)
        self.people = [logistic.People(one) for one in fitted]
        summarize = logistic.summarize_score if self.site_effects else logistic.summarize_score_raw
        self.sums = merge(
            [
                summarize(self._block(here, slice(None)), people)
                for here, people in zip(self.here, fitted, strict=True)
            ]
        )
        self.score = logistic.finalize_score(self.null, self.sums)

    def _fit_null(self, *, firth):
        fits = logistic.start_null(self.traits, self.designs[0].width, firth=firth)
        while not fits.done:
            inverse = fits.inverse if firth else None
            sums = merge([logistic.summarize_null([d], fits.theta, inverse) for d in self.designs])
            fits = logistic.update_null(fits, sums)
        null = logistic.finish_null(fits, sums, [f"y{trait}" for trait in range(self.traits)])
        inverse = null.inverse if firth else None
        return null, [logistic.fit_people(d, null.theta, inverse) for d in self.designs]

    def _block(self, here, rows):
        chosen = self.dosage[rows][:, here].astype(np.int8)
        return PackedBlock(pack(chosen), chosen.shape[1], backend(self.kernels))

    def test(self, name, *, cutoff=0.0, missing="mean"):
        """The tests of all rows, or of those beyond the cutoff."""
        firth_null = None
        if name in logistic.WITH_FIRTH_NULL:
            firth_null, fitted = self._fit_null(firth=True)
            self.people = [
                logistic.People(people.fitted, one)
                for people, one in zip(self.people, fitted, strict=True)
            ]
        asks = logistic.follow_up(
            self.null,
            self.score,
            name,
            firth_null=firth_null,
            site_effects=self.site_effects,
            cutoff=cutoff,
        )
        try:
            ask = next(asks)
            while True:
                self.rounds.append(ask.kind.statistic)
                ask = asks.send(merge([self._answer(ask, place, missing) for place in self.sites]))
        except StopIteration as done:
            return done.value

    @property
    def sites(self):
        return range(len(self.here))

    def _answer(self, ask, place, missing):
        block = self._block(self.here[place], ask.rows)
        return logistic.answer(block, self.people[place], ask.kind, ask.trait, ask.inputs, missing)


def standardized(x):
    """Covariates less their mean over everybody, over their standard deviation."""
    known = x[~np.isnan(x).any(axis=1)]
    return (x - known.mean(axis=0)) / known.std(axis=0) if x.shape[1] else x

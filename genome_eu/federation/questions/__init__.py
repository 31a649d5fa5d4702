"""The questions. A cohort and a federation answer the same ones with the same types."""

from genome_eu.federation.questions.frequencies import FrequencyQuestions
from genome_eu.federation.questions.gwas import GwasQuestions
from genome_eu.federation.questions.ld import LdQuestions
from genome_eu.federation.questions.run import Run
from genome_eu.federation.questions.scores import ScoreQuestions


class Questions(FrequencyQuestions, GwasQuestions, LdQuestions, ScoreQuestions):
    """Every question that one cohort or many sites answer."""


__all__ = ["Questions", "Run"]

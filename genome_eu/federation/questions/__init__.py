"""The questions. A cohort and a federation answer the same ones with the same types."""

from genome_eu.federation.questions.frequencies import FrequencyQuestions
from genome_eu.federation.questions.gwas import GwasQuestions
from genome_eu.federation.questions.run import Run


class Questions(FrequencyQuestions, GwasQuestions):
    """Every question that one cohort or many sites answer."""


__all__ = ["Questions", "Run"]

"""A formula of covariates as text, read where the question is asked and nowhere else."""

from __future__ import annotations

import ast
import re

from genome_eu.errors import UsageError
from genome_eu.stats.formula import ALLOWED, Factor, Term, checked


def parse(text: str) -> tuple[Term, ...]:
    """Read a formula of covariates, such as ``age + sex + C(batch) + age:sex``.

    `+`, `:`, `*`, `^`, `-`, `/` and parentheses mean what they mean in R. The intercept is part
    of every model, and not of the formula.

    Raises
    ------
    UsageError
        The text is not a formula, removes the intercept, names a response, or holds anything but
        columns, categories (`C`), powers and functions of one column.
    """
    # It takes half a second to import, and only formulas need it.
    from formulaic import Formula
    from formulaic.errors import FormulaicError

    if "~" in text or "|" in text:
        raise UsageError("a formula of covariates has one side; the trait is named apart")
    try:
        parsed = list(Formula(_literal_free(text)))
    except (FormulaicError, SyntaxError, ValueError, AttributeError, KeyError, TypeError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else "it is malformed"
        raise UsageError(f"{text!r} is not a formula: {first}") from None
    terms, intercept = [], False
    for found in parsed:
        names = [str(factor.expr) for factor in found.factors]
        if names == ["1"]:
            intercept = True
            continue
        terms.append(Term(tuple(dict.fromkeys(_factor(name) for name in names if name != "1"))))
    if not intercept:
        raise UsageError("the intercept is part of the model; leave `0` and `- 1` out of a formula")
    checked(terms)
    return tuple(terms)


def is_formula(text: str) -> bool:
    """Whether a text is more than a name or a list of names."""
    return bool(re.search(r"[+:*^(~|]", text))


def _literal_free(text: str) -> str:
    """The text, refused where it holds what no formula of columns needs."""
    if len(text) > 2000 or re.search(r"[`{}\"'\[\];=@\\]|__", text):
        raise UsageError(f"a formula may have {ALLOWED}, joined by + : * and parentheses")
    return text


def _factor(text: str) -> Factor:
    """One factor of formulaic's, by its syntax tree; nothing of it is ever run."""
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        raise UsageError(f"{text} cannot be a covariate; a formula may have {ALLOWED}") from None
    return _read(tree, text)


def _read(tree: ast.expr, text: str) -> Factor:
    match tree:
        case ast.Name(id=name):
            return Factor(name)
        case ast.Call(func=ast.Name(id="C"), args=[ast.Name(id=name)], keywords=[]):
            return Factor(name, category=True)
        case ast.Call(func=ast.Name(id="I"), args=[inner], keywords=[]):
            return _read(inner, text)
        case ast.Call(func=ast.Name(id=function), args=[ast.Name(id=name)], keywords=[]):
            return Factor(name, function=function)
        case ast.BinOp(op=ast.Pow(), left=inner, right=ast.Constant(value=int(power))) if not (
            isinstance(power, bool)
        ):
            base = _read(inner, text)
            return Factor(base.column, base.category, base.function, base.power * power)
    raise UsageError(f"{text} cannot be a covariate; a formula may have {ALLOWED}")

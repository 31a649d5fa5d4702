"""The codes of dosages: copies of the ALT in steps of 1/16,384, and one code for missing.

A code is a uint16: 0 to 32,768 for 0 to 2 copies, 65,535 where the dosage is missing. These are
PLINK 2's steps, a 64th of those of a BGEN file of 8 bits and a 16th of a VCF's three decimals, so
that the two programs work on the same numbers. Codes are whole, so sums of them, and of their
squares, are exact; the dosages themselves are exact in float32 and float64.
"""

from __future__ import annotations

import numpy as np

from genome_eu.compiled import compiled
from genome_eu.errors import BadInput

Array = np.ndarray

#: Steps of one copy.
ONE = 16384
#: The code of a missing dosage.
MISSING = 65535

#: The type of codes in a store, whose bytes do not depend on the machine.
code_dtype = np.dtype("<u2")

# A dosage further than this from 0, 1 and 2 makes no hard call: PLINK 2's --hard-call-threshold.
_HARD_CALL_STEPS = ONE // 10


def codes_of_calls(calls: Array) -> Array:
    """Hard calls as codes.

    Parameters
    ----------
    calls : signed integer array
        0, 1 or 2 copies; any negative value is a missing call.

    Returns
    -------
    codes : uint16 array of the same shape
    """
    return np.where(calls < 0, MISSING, calls.astype(np.int32) * ONE).astype(code_dtype)


def exchange_codes(codes: Array) -> Array:
    """Dosages of the other allele, 2 − g; missing ones stay so."""
    return np.where(codes == MISSING, MISSING, 2 * ONE - codes.astype(np.int32)).astype(code_dtype)


def hard_calls(codes: Array) -> Array:
    """The hard call of each dosage: 0, 1 or 2 where it is within 0.1 of that, or -1.

    Parameters
    ----------
    codes : uint16 array, shape (rows, people)

    Returns
    -------
    calls : int8 array, shape (rows, people)
    """
    calls = np.empty(codes.shape, dtype=np.int8)
    _hard_calls(codes, calls)
    return calls


def check_codes(codes: Array, people: int) -> None:
    """Raise `BadInput` unless `codes` are dosages of so many people."""
    if codes.dtype != code_dtype or codes.ndim != 2 or codes.shape[1] != people:
        raise BadInput(
            f"dosages of {people} people must be uint16 of shape (rows, {people}), not "
            f"{codes.dtype} of shape {codes.shape}."
        )
    row = _first_wrong(np.ascontiguousarray(codes))
    if row >= 0:
        raise BadInput(f"row {row} holds a dosage of more than 2 copies; import the source again.")


@compiled
def _hard_calls(codes: Array, calls: Array) -> None:
    for row in range(codes.shape[0]):
        for person in range(codes.shape[1]):
            code = np.int32(codes[row, person])
            # 65,535 is nearest to 4 copies.
            nearest = (code + ONE // 2) // ONE
            near = abs(code - nearest * ONE) <= _HARD_CALL_STEPS
            calls[row, person] = nearest if near and nearest <= 2 else -1


@compiled
def _first_wrong(codes: Array) -> int:
    for row in range(codes.shape[0]):
        for person in range(codes.shape[1]):
            if codes[row, person] > 2 * ONE and codes[row, person] != MISSING:
                return row
    return -1

"""Values of the report as HTML; every one of them is escaped here."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Markup:
    """Text that is HTML already; everything else is escaped."""

    text: str


@dataclass(frozen=True)
class Cell:
    """A table cell with a look of its own or one that spans several rows."""

    value: object
    look: str = ""
    rows: int = 1


def shown(value: object) -> str:
    """A value as escaped HTML."""
    if isinstance(value, Markup):
        return value.text
    return html.escape(plain(value))


def plain(value: object) -> str:
    """A value as text: counts with separators, measures with four digits, lists joined."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {plain(item)}" for key, item in value.items())
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return ", ".join(plain(item) for item in value)
    return str(value)


def size(number: object) -> str:
    """Bytes for people."""
    if not isinstance(number, (int, float, np.integer, np.floating)):
        return plain(number)
    amount = float(number)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError("unreachable")


def is_number(value: object) -> bool:
    """Whether a column of such values stands to the right."""
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def table(headings: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "") -> str:
    """A table; columns that hold only numbers stand to the right."""
    if not rows:
        return ""
    by_column: list[list[object]] = [[] for _ in headings]
    full = [row for row in rows if len(row) == len(headings)]
    for row in full:
        for column, value in zip(by_column, row, strict=True):
            column.append(value.value if isinstance(value, Cell) else value)
    right = [
        any(is_number(v) for v in column) and all(is_number(v) or v is None for v in column)
        for column in by_column
    ]
    out = ['<div class="scroll"><table>']
    if caption:
        out.append(f"<caption>{html.escape(caption)}</caption>")
    heads = (
        f"<th{_look('number' if side else '', 'first' if k == 0 else '')}>{html.escape(name)}</th>"
        for k, (name, side) in enumerate(zip(headings, right, strict=True))
    )
    out.append(f"<thead><tr>{''.join(heads)}</tr></thead><tbody>")
    for row in rows:
        # Cells that an earlier row's span covers are missing at the left.
        sides = right[len(right) - len(row) :]
        cells: list[str] = []
        for value, side in zip(row, sides, strict=True):
            cell = value if isinstance(value, Cell) else Cell(value)
            first = len(cells) == len(headings) - len(row) == 0
            attributes = _look(cell.look, "number" if side else "", "first" if first else "")
            attributes += f' rowspan="{cell.rows}"' if cell.rows > 1 else ""
            cells.append(f"<td{attributes}>{shown(cell.value)}</td>")
        out.append(f"<tr>{''.join(cells)}</tr>")
    out.append("</tbody></table></div>")
    return "".join(out)


def _look(*names: str) -> str:
    chosen = " ".join(name for name in names if name)
    return f' class="{html.escape(chosen)}"' if chosen else ""


def pairs(items: Mapping[str, object]) -> str:
    """Names and values, one below the other; nested mappings become joined names."""
    out = []
    for name, value in flattened(items).items():
        out.append(f"<dt>{html.escape(name)}</dt><dd>{shown(value)}</dd>")
    return f"<dl>{''.join(out)}</dl>" if out else ""


def flattened(items: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested mappings as one, whose names say the way: ``versions · numpy``."""
    out: dict[str, Any] = {}
    for key, value in items.items():
        name = f"{before}{key}".replace("_", " ")
        name = name.replace("genome eu", "genome_eu")
        if isinstance(value, Mapping):
            out.update(flattened(value, f"{name} · "))
        else:
            out[name] = value
    return out


def from_json(value: object) -> Any:
    """What a JSON text means; any other text stays what it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def digest(value: object) -> Markup:
    """A version or digest, in letters of one width."""
    return Markup(f"<code>{html.escape(str(value))}</code>")

"""What left each site, as a table: the part of the report that a data officer reads first."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from genome_eu.report.tables import Cell, Markup, plain, size, table

# Beyond this many releases the table tells of sites, not of single messages.
MOST_RELEASES = 12


def released(releases: Sequence[Mapping[str, Any]]) -> str:
    """The table of releases and the checks that each one passed; empty without releases."""
    if not releases:
        return ""
    explanation = "<p>Only these aggregates left each site, after the site's own checks.</p>"
    withheld_heading = "Rows withheld"
    together = len(releases) > MOST_RELEASES
    if together:
        explanation += (
            "<p>There were many rounds, so each line tells of all releases of a site; rows "
            "withheld are those of the release that withheld most.</p>"
        )
        withheld_heading = "Rows withheld (most)"
        releases = _by_site(releases)
    known = ("site", "bytes", "arrays", "checks")
    extra = list(dict.fromkeys(key for release in releases for key in release if key not in known))
    headings = ["Site", *(key.replace("_", " ").capitalize() for key in extra)]
    headings += ["Sent", "Arrays", "Check", "Limit", withheld_heading, "Verdict"]
    rows: list[list[object]] = []
    for release in releases:
        checks = list(release.get("checks") or [{}])
        height = len(checks)
        first: list[object] = [Cell(release.get("site", "–"), rows=height)]
        first += [Cell(release.get(key), "long", height) for key in extra]
        first += [
            Cell(Markup(html.escape(size(release.get("bytes", 0)))), rows=height),
            Cell(release.get("arrays"), "long", height),
        ]
        for k, check in enumerate(checks):
            verdict = plain(check.get("verdict"))
            look = verdict if verdict in ("pass", "refuse", "review") else ""
            cells: list[object] = [
                check.get("check"),
                check.get("limit"),
                check.get("withheld"),
                Cell(verdict, look),
            ]
            rows.append(first + cells if k == 0 else cells)
    return explanation + table(headings, rows)


def _by_site(releases: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    sites: dict[str, dict[str, Any]] = {}
    worst = ["pass", "review", "refuse"]
    for release in releases:
        name = str(release.get("site", "–"))
        site = sites.setdefault(
            name, {"site": name, "releases": 0, "bytes": 0, "arrays": [], "checks": {}}
        )
        site["releases"] += 1
        site["bytes"] += int(release.get("bytes") or 0)
        arrays = release.get("arrays")
        if isinstance(arrays, (list, tuple, Mapping)):
            site["arrays"] += [str(a) for a in arrays if str(a) not in site["arrays"]]
        for check in release.get("checks") or []:
            key = (str(check.get("check")), str(check.get("limit")))
            merged = site["checks"].setdefault(key, dict(check))
            merged["withheld"] = max(merged.get("withheld") or 0, check.get("withheld") or 0)
            verdicts = [merged.get("verdict"), check.get("verdict")]
            merged["verdict"] = max(verdicts, key=lambda v: worst.index(v) if v in worst else 3)
    for site in sites.values():
        site["checks"] = list(site["checks"].values())
        site["arrays"] = site["arrays"] or None
    return list(sites.values())

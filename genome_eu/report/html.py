"""The report of one run: a single HTML file that works without a network, for ever."""

from __future__ import annotations

import html
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from genome_eu.atomic import write_whole
from genome_eu.errors import UsageError
from genome_eu.formats.parquet import kind_of
from genome_eu.formats.rows import association, contigs, group_names, simulated, trait_names
from genome_eu.report import figures
from genome_eu.report.figures import Figure
from genome_eu.report.points import association_tests, shown_groups, strongest_traits
from genome_eu.report.releases import released
from genome_eu.report.style import CONTENT_POLICY, SCRIPT, STYLE
from genome_eu.report.tables import (
    digest,
    flattened,
    from_json,
    pairs,
    plain,
    size,
    table,
)

MOST_TRAITS = 6
TOP_ROWS = 10
_KINDS = {
    "frequencies": "Allele frequencies",
    "pca": "Principal components",
    "gwas": "Association",
    "dosages": "Imputed dosages",
}


def write_report(
    path: str | os.PathLike[str],
    title: str,
    results: Mapping[str, xr.Dataset],
    releases: Sequence[Mapping[str, Any]] = (),
    differences: Sequence[Mapping[str, Any]] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write the page about a run.

    It shows aggregates only: people of a cohort's own pca() result are never drawn.

    Parameters
    ----------
    path : path
        The HTML file; it appears whole or not at all.
    title : str
    results : mapping
        Name of each result to its Dataset, in the order to show them.
    releases : sequence of mappings
        What left each site: ``site``, ``bytes``, ``arrays`` (number or names), ``checks``
        (each with ``check``, ``limit``, ``withheld``, ``verdict``); other keys are shown as
        further columns.
    differences : sequence of mappings, optional
        The largest differences from the pooled answer, one line each.
    provenance : mapping, optional
        Versions and digests; mappings may be nested.

    Raises
    ------
    UsageError
        If there is no result to show.
    """
    if not results:
        raise UsageError("a report needs at least one result; give frequencies, pca or gwas.")
    drawn: list[Figure] = []
    body = [
        _header(title, results, releases),
        _asked(results),
        _section("What left each site", released(releases)),
        _differences(differences),
        *(_result(name, dataset, drawn) for name, dataset in results.items()),
        _left_out(results),
        _provenance(provenance),
    ]
    page = _page(title, "\n".join(part for part in body if part), drawn)
    write_whole(path, page.encode())


def _page(title: str, body: str, drawn: list[Figure]) -> str:
    specs = "\n".join(
        f'<script type="application/json" id="figure-{k}">{_json(figure)}</script>'
        for k, figure in enumerate(drawn)
    )
    library = ""
    if drawn:
        from plotly.offline import get_plotlyjs

        library = f"<script>{get_plotlyjs()}</script>\n<script>{SCRIPT}</script>"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{CONTENT_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{html.escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
{body}
<footer>Every number here is an aggregate over people; no person is shown.</footer>
</main>
{specs}
{library}
</body>
</html>
"""


def _json(figure: Figure) -> str:
    text = json.dumps({"data": figure.data, "layout": figure.layout}, allow_nan=False)
    # An end tag inside a string would otherwise end the script element.
    return text.replace("<", "\\u003c").replace("&", "\\u0026")


def _section(heading: str, content: str) -> str:
    return f"<section><h2>{html.escape(heading)}</h2>\n{content}</section>" if content else ""


def _header(
    title: str, results: Mapping[str, xr.Dataset], releases: Sequence[Mapping[str, Any]]
) -> str:
    facts: list[tuple[str, str]] = []
    sites = _sites(results, releases)
    if sites:
        facts.append((str(len(sites)), "site" if len(sites) == 1 else "sites"))
    people = _people(results)
    if people:
        facts.append((f"{people:,}", "people"))
    rows = max(dataset.sizes.get("variants", 0) for dataset in results.values())
    facts.append((f"{rows:,}", "variant rows"))
    sent = sum(int(release.get("bytes") or 0) for release in releases)
    if sent:
        facts.append((size(sent), "left the sites in all"))
    builds = sorted({plain(d.attrs["build"]) for d in results.values() if d.attrs.get("build")})
    if builds:
        facts.append((", ".join(builds), "genome build"))
    cards = "".join(
        f"<div><b>{html.escape(value)}</b><span>{html.escape(name)}</span></div>"
        for value, name in facts
    )
    notes = []
    made_up = [
        trait
        for dataset in results.values()
        if "trait_id" in dataset
        for trait in trait_names(dataset)
        if simulated(dataset, trait)
    ]
    if made_up:
        notes.append(
            f"Simulated: {', '.join(made_up)}. These associations say nothing about people."
        )
    policies = sorted({plain(v) for d in results.values() for k, v in _policies(d).items()})
    if any("open-data" in policy for policy in policies):
        notes.append("The policy open-data was used, which is meant for public genotypes only.")
    shown_notes = "".join(f'<p class="note">{html.escape(note)}</p>' for note in notes)
    return (
        f'<header><h1>{html.escape(title)}</h1><p class="lead">{html.escape(_lead(results))}</p>'
        f'<div class="glance">{cards}</div>{shown_notes}</header>'
    )


def _lead(results: Mapping[str, xr.Dataset]) -> str:
    return ", ".join(_KINDS[kind_of(dataset)] for dataset in results.values()) + "."


def _policies(dataset: xr.Dataset) -> dict[str, Any]:
    return {key: value for key, value in dataset.attrs.items() if "polic" in key.lower()}


def _sites(results: Mapping[str, xr.Dataset], releases: Sequence[Mapping[str, Any]]) -> list[str]:
    named = [str(release["site"]) for release in releases if "site" in release]
    for dataset in results.values():
        sites = from_json(dataset.attrs.get("sites", []))
        several = sites.split(",") if isinstance(sites, str) else list(sites)
        named += [str(site).strip() for site in several]
    return list(dict.fromkeys(named))


def _people(results: Mapping[str, xr.Dataset]) -> int:
    most = 0
    for dataset in results.values():
        if "site_n" in dataset:
            most = max(most, int(dataset["site_n"].sum()))
        for name in ("variant_n_called", "variant_linreg_n", "variant_logreg_n"):
            if name in dataset and dataset[name].size:
                most = max(most, int(dataset[name].max()))
    return most


def _asked(results: Mapping[str, xr.Dataset]) -> str:
    asked = {name: _facts(dataset) for name, dataset in results.items()}
    # What all results share is said once.
    texts = [{key: plain(value) for key, value in facts.items()} for facts in asked.values()]
    first = next(iter(asked.values()))
    common = {k: v for k, v in first.items() if all(t.get(k) == plain(v) for t in texts)}
    if len(asked) == 1:
        common = {}
    parts = [pairs(common)]
    for name, facts in asked.items():
        own = {key: value for key, value in facts.items() if key not in common}
        parts.append(f"<h3>{html.escape(name)}</h3>{pairs(own)}" if own else "")
    return _section("What was asked", "".join(parts))


def _facts(dataset: xr.Dataset) -> dict[str, Any]:
    """The question, first, and what else the result says about itself."""
    facts: dict[str, Any] = {}
    for key in sorted(dataset.attrs, key=lambda key: key != "question"):
        meaning = from_json(dataset.attrs[key])
        if key != "left_out" and plain(meaning) not in ("", "–"):
            facts[key] = meaning
    facts["rows in the answer"] = dataset.sizes.get("variants", 0)
    groups = group_names(dataset)
    if groups:
        facts["groups"] = groups
    if "trait_id" in dataset:
        facts["traits"] = trait_names(dataset)
    return facts


def _differences(differences: Sequence[Mapping[str, Any]] | None) -> str:
    if not differences:
        return ""
    columns = list(dict.fromkeys(key for line in differences for key in line))
    headings = [column.replace("_", " ").capitalize() for column in columns]
    rows = [[line.get(column) for column in columns] for line in differences]
    explanation = (
        "<p>The same question asked of all genotypes in one place, where that was possible; "
        "this is the largest difference found.</p>"
    )
    return _section(
        "Largest difference from the pooled answer", explanation + table(headings, rows)
    )


def _result(name: str, dataset: xr.Dataset, drawn: list[Figure]) -> str:
    kind = kind_of(dataset)
    content = ""
    if not dataset.sizes["variants"]:
        return _section(name, "<p>The answer has no rows.</p>")
    if kind == "gwas":
        traits = strongest_traits(dataset, trait_names(dataset), MOST_TRAITS)
        left = dataset.sizes["traits"] - len(traits)
        if left:
            content += (
                f"<p>The {len(traits)} traits with the strongest tests are shown; "
                f"{left:,} more are in the tables beside this report.</p>"
            )
        content += _figures(figures.association_figures(dataset, traits), drawn)
        content += "".join(_strongest(dataset, trait) for trait in traits)
    elif kind == "frequencies":
        groups = shown_groups(dataset)
        if len(groups) > figures.MOST_GROUPS:
            content += (
                f"<p>The first {figures.MOST_GROUPS} of {len(groups)} groups are drawn one by "
                "one; all are in the tables beside this report.</p>"
            )
        content += _figures(figures.frequency_figures(dataset), drawn)
        content = content or "<p>The frequencies are in the tables beside this report.</p>"
    elif kind == "dosages":
        content += "<p>The frequencies by dosages are in the tables beside this report.</p>"
    else:
        content += _figures(figures.pca_figures(dataset), drawn)
    heading = _KINDS[kind] if name == kind else f"{_KINDS[kind]}: {name}"
    return _section(heading, content)


def _figures(new: list[Figure], drawn: list[Figure]) -> str:
    out = []
    for figure in new:
        place = f"figure-{len(drawn)}"
        drawn.append(figure)
        height = int(figure.layout["height"])
        out.append(
            f'<figure class="{figure.width}"><h3>{html.escape(figure.title)}</h3>'
            f'<div class="plot" data-spec="{place}" style="height:{height}px" role="img" '
            f'aria-label="{html.escape(figure.title)}"></div>'
            f"<figcaption>{html.escape(figure.caption)}</figcaption></figure>"
        )
    return f'<div class="figures">{"".join(out)}</div>' if out else ""


def _strongest(dataset: xr.Dataset, trait: str) -> str:
    tests = association_tests(dataset, trait)
    best = np.argsort(-tests.neg_log10_p, kind="stable")[:TOP_ROWS]
    chosen = tests.rows[best]
    column = trait_names(dataset).index(trait)

    def values(name: str) -> list[float]:
        return dataset[f"{association(dataset)}_{name}"].values[chosen, column].tolist()

    frequency = values("allele_frequency")
    alleles = dataset["variant_allele"].values[chosen]
    place = zip(contigs(dataset)[chosen], dataset["variant_position"].values[chosen], strict=True)
    rows = [
        [f"{contig}:{int(position):,}", str(ref), str(alt), *numbers]
        for (contig, position), (ref, alt), *numbers in zip(
            place,
            alleles,
            frequency,
            values("beta"),
            values("se"),
            values("neg_log10_p"),
            strict=True,
        )
    ]
    headings = ["Place", "REF", "ALT (effect)", "ALT frequency", "Beta", "SE", "−log10 p"]
    return table(headings, rows, f"{tests.label}: the {len(rows)} strongest rows")


def _left_out(results: Mapping[str, xr.Dataset]) -> str:
    parts = []
    for name, dataset in results.items():
        rows: list[list[object]] = []
        reasons = from_json(dataset.attrs.get("left_out"))
        if isinstance(reasons, Mapping):
            rows += [[reason, count] for reason, count in flattened(reasons).items()]
        elif isinstance(reasons, (list, tuple)):
            rows += [[reason, None] for reason in reasons]
        elif reasons:
            rows.append([str(reasons), None])
        rows += [[reason, count] for reason, count in _withheld(dataset).items()]
        if rows:
            parts.append(table(["Reason", "How many"], rows, name))
        else:
            parts.append(f"<p>{html.escape(name)}: nothing.</p>")
    return _section("What was left out, and why", "".join(parts))


_CODES = {
    "CONST_ALLELE": "tests not made: nobody or everybody carries the allele (CONST_ALLELE)",
    "VIF_INFINITE": "tests not made: the covariates explain the genotype (VIF_INFINITE)",
    "CONST_TRAIT": "tests not made: the trait does not vary among those called (CONST_TRAIT)",
    "WITHHELD": "tests withheld by policy (WITHHELD)",
    "TOO_FEW": "tests not made: too few people (TOO_FEW)",
}


def _withheld(dataset: xr.Dataset) -> dict[str, int]:
    out = {}
    for name, text in (
        ("variant_allele_withheld", "rows whose allele counts are withheld"),
        ("variant_genotype_withheld", "rows whose genotype counts are withheld"),
        ("cohort_allele_withheld", "allele counts of groups withheld (rows × groups)"),
        ("cohort_genotype_withheld", "genotype counts of groups withheld (rows × groups)"),
    ):
        if name in dataset and int(dataset[name].sum()):
            out[text] = int(dataset[name].sum())
    for name in ("variant_linreg_errcode", "variant_logreg_errcode"):
        if name not in dataset:
            continue
        codes = Counter(dataset[name].values.ravel().astype(str).tolist())
        for code, count in sorted(codes.items()):
            if code != ".":
                out[_CODES.get(code, f"tests not made ({code})")] = count
    return out


def _provenance(provenance: Mapping[str, Any] | None) -> str:
    if not provenance:
        return ""
    facts = {name: digest(plain(value)) for name, value in flattened(provenance).items()}
    return _section("Versions and digests", pairs(facts))

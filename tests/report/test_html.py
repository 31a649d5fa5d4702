"""The page: one file, no requests, nothing unescaped, nobody's data."""

from __future__ import annotations

import html.parser
import json
import re

import pytest

from genome_eu.errors import UsageError
from genome_eu.report import write_report
from tests.formats import fake_results as fake

plotly = pytest.importorskip("plotly")

RELEASES = [
    {
        "site": site,
        "bytes": 1_250_000,
        "arrays": ["gg", "gy"],
        "checks": [
            {"check": "allele floor", "limit": 10, "withheld": 52, "verdict": "pass"},
            {"check": "people", "limit": 10, "withheld": 0, "verdict": "review"},
        ],
    }
    for site in ("fi", "it")
]
DIFFERENCES = [{"quantity": "beta", "largest_difference": 3.25e-14, "where": "6:1000 A>G"}]
PROVENANCE = {"genome_eu": "0.1.0", "cohort digests": {"fi": "a3f1" * 16}}


class Page(html.parser.HTMLParser):
    """Tags and the text of scripts, styles and the rest, kept apart."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text, self.code, self.specs = [], [], [], []
        self._inside = None
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = (tag, dict(attrs))

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, text):
        tag, attrs = self._inside or (None, {})
        if tag == "script" and attrs.get("type") == "application/json":
            self.specs.append(json.loads(text))
        else:
            (self.code if tag in ("script", "style") else self.text).append(text)

    @property
    def words(self):
        return re.sub(r"\s+", " ", " ".join(self.text))


def everything():
    return {"frequencies": fake.frequencies(), "pca": fake.pca(), "gwas": fake.gwas()}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    results = everything()
    results["gwas"].attrs["simulated"] = ["ldl"]
    write_report(path, "A question", results, RELEASES, DIFFERENCES, PROVENANCE)
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    return Page(path)


def test_it_answers_in_order(page):
    headings = (
        "What was asked",
        "What left each site",
        "Largest difference from the pooled answer",
        "Allele frequencies",
        "Principal components",
        "Association",
        "What was left out, and why",
        "Versions and digests",
    )
    places = [page.words.index(heading, 200) for heading in headings]
    assert places == sorted(places)
    for part in ("allele floor", "52", "1.2 MB", "3.25e-14", "not in every panel", "a3f1a3f1"):
        assert part in page.words


def test_it_fetches_nothing(page):
    for tag, attrs in page.tags:
        assert tag not in ("link", "iframe", "img", "object", "embed", "form", "base", "a"), tag
        assert "src" not in attrs
        assert "href" not in attrs
    policy = next(a["content"] for t, a in page.tags if "http-equiv" in a)
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    library = max(page.code, key=len)
    ours = [code for code in page.code if code is not library]
    assert "plotly.js v" in library[:200]
    assert sum("plotly.js v" in code[:200] for code in page.code) == 1
    assert not re.search("https?://", "".join(ours) + page.words + json.dumps(page.specs))
    assert "showSendToCloud: false" in "".join(ours)


def test_each_figure_has_a_place_and_an_explanation(page):
    places = [a["data-spec"] for t, a in page.tags if "data-spec" in a]
    specs = [a["id"] for t, a in page.tags if a.get("type") == "application/json"]
    assert places == specs
    assert len(page.specs) == len(places) == sum(tag == "figcaption" for tag, _ in page.tags)
    # Frequencies of two groups; sites, eigenvalues and four loadings; two plots for two traits.
    assert len(places) == 2 + 6 + 4
    assert page.specs[-4]["data"][0]["y"][-1] is not None


def test_a_simulated_trait_is_labelled_everywhere(page):
    assert "Simulated: ldl. These associations say nothing about people." in page.words
    assert "ldl (simulated trait): Manhattan plot" in page.words
    assert "bmi: Manhattan plot" in page.words


def test_policy_and_codes_are_in_the_list_of_what_was_left_out(page):
    assert "tests withheld by policy (WITHHELD) 2" in page.words
    assert "rows whose genotype counts are withheld 2" in page.words


def test_every_value_is_escaped(tmp_path):
    evil = "<script>alert(1)</script>\"'&</td>"
    frequencies = fake.frequencies(groups=[evil, "TSI", "ITA"])
    frequencies["variant_id"][:] = evil
    frequencies.attrs.update(question=evil, left_out=json.dumps({evil: 1}))
    gwas = fake.gwas(traits=(evil,))
    gwas["variant_allele"][:, 1] = evil
    gwas.attrs["simulated"] = True
    pca = fake.pca()
    pca["site_id"][:] = evil
    write_report(
        tmp_path / "x.html",
        evil,
        {evil: frequencies, "gwas": gwas, "pca": pca},
        [{"site": evil, "bytes": 1, "arrays": evil, evil: evil, "checks": [{"check": evil}]}],
        [{evil: evil}],
        {evil: evil},
    )
    page = Page(tmp_path / "x.html")
    scripts = [tag for tag, attrs in page.tags if tag == "script" and not attrs]
    assert len(scripts) == 2
    assert not any("alert(1)" in code for code in page.code)
    assert page.words.count("alert(1)") > 10

    def strings(value):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            return [text for item in value for text in strings(item)]
        return [value] if isinstance(value, str) else []

    # Plotly reads a few tags in labels; ours are only line breaks and the empty box.
    for text in strings(page.specs):
        assert "<" not in text.replace("<br>", "").replace("<extra></extra>", "")


def test_people_are_never_in_it(tmp_path):
    write_report(tmp_path / "x.html", "Own cohort", {"pca": fake.pca(people=40)})
    text = (tmp_path / "x.html").read_text()
    assert "PERSON" not in text
    page = Page(tmp_path / "x.html")
    assert not any(len(trace["x"]) == 40 for spec in page.specs for trace in spec["data"])


def test_many_rounds_are_told_by_site(tmp_path):
    many = [{**release, "round": k} for k in range(10) for release in RELEASES]
    write_report(tmp_path / "x.html", "Rounds", {"pca": fake.pca()}, many)
    words = Page(tmp_path / "x.html").words
    assert "each line tells of all releases of a site" in words
    assert "12.5 MB" in words
    assert words.count("allele floor") == 2


def test_a_large_answer_stays_small(tmp_path):
    results = {"gwas": fake.gwas(100_000, ("ldl",)), "frequencies": fake.frequencies(50_000)}
    write_report(tmp_path / "x.html", "Large", results)
    assert (tmp_path / "x.html").stat().st_size < 7_000_000
    for spec in Page(tmp_path / "x.html").specs:
        assert sum(len(trace["x"]) for trace in spec["data"]) <= 20_000


def test_many_traits_show_the_strongest(tmp_path):
    gwas = fake.gwas(20, tuple(f"t{k}" for k in range(9)))
    gwas["variant_linreg_neg_log10_p"][7, 8] = 500.0
    write_report(tmp_path / "x.html", "Traits", {"gwas": gwas})
    words = Page(tmp_path / "x.html").words
    assert "The 6 traits with the strongest tests are shown; 3 more" in words
    assert "t8: Manhattan plot" in words


def test_answers_without_rows_or_results(tmp_path):
    empty = fake.gwas().isel(variants=slice(0, 0))
    write_report(tmp_path / "x.html", "Empty", {"gwas": empty})
    page = Page(tmp_path / "x.html")
    assert "The answer has no rows." in page.words
    assert (tmp_path / "x.html").stat().st_size < 20_000
    with pytest.raises(UsageError, match="at least one result"):
        write_report(tmp_path / "y.html", "None", {})
    assert not (tmp_path / "y.html").exists()

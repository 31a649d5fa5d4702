"""What a person is shown of an answer: every statistic, every field, and what is at risk."""

from __future__ import annotations

import stat
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from genome_eu.cli.review import as_json, show, view_of
from genome_eu.disclosure import Evidence
from genome_eu.disclosure.case import Case, Membership
from genome_eu.disclosure.contents import Contents, describe
from genome_eu.disclosure.history import compared
from genome_eu.disclosure.ledger import Ledger
from genome_eu.disclosure.page import View, write_page
from genome_eu.stats import variants
from genome_eu.stats.aggregate import AGGREGATES, Aggregate, declared
from genome_eu.stats.counts import GenotypeCounts, group_sizes
from genome_eu.stats.traits import summarize
from tests.disclosure.held_answers import COHORT, counts, hold

SIZES = {
    "rows": 5,
    "band": 3,
    "groups": 1,
    "covariates": 3,
    "traits": 2,
    "width": 4,
    "components": 4,
}
SIZES |= {"folds": 2, "block": 4, "predictors": 3, "fits": 2, "chromosomes": 2}
INSTALLED = sorted(name for name in AGGREGATES if not name.startswith("test"))


def empty(kind: type[Aggregate], **changes: Any) -> Any:
    """An aggregate of zeros, with flags set; text is empty."""
    fields = {}
    for item in declared(kind):
        shape = tuple(SIZES.get(name, 0) for name in item.metadata["dims"])
        flag = item.metadata["dtype"] is np.bool_
        fields[item.name] = np.full(shape, flag, item.metadata["dtype"])
    return kind(**fields | changes)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return hold(tmp_path_factory.mktemp("state"), Ledger(None))


def said(case: Case, *parts: Aggregate, **parameters: Any) -> Contents:
    changes = {"statistic": type(parts[0]).statistic, "parameters": parameters}
    return describe(iter(parts), case.model_copy(update=changes))


# -- statistics ------------------------------------------------------------------------------------


@pytest.mark.parametrize("statistic", INSTALLED)
def test_every_field_of_every_statistic_is_shown(case: Case, statistic: str):
    kind = AGGREGATES[statistic]
    labels = {"labels": np.frombuffer(b"F", np.uint8)} if statistic == "group_sizes" else {}
    found = said(case, empty(kind, **labels))
    # In words of its own, not by its name.
    assert statistic not in found.what
    fields = found.tables[-1]
    assert [row[0] for row in fields.rows] == [item.name for item in declared(kind)]


def test_a_statistic_without_words_of_its_own_still_shows_its_fields(case: Case):
    part = counts()
    found = describe([part], case.model_copy(update={"statistic": "new_one"}))
    assert found.what == "new_one of 93 people"
    assert len(found.tables[-1].rows) == len(declared(part))


def test_genotype_counts(case: Case):
    found = said(case, counts(rows=30, withheld=7), counts(rows=10, withheld=0))
    assert found.what == "counts of alleles for 33 variants in 93 people"
    assert found.withheld == 7
    minor = next(bars for bars in found.bars if bars.title.startswith("Minor alleles"))
    assert dict(zip(minor.labels, minor.values, strict=True))["20–49"] == 33
    assert minor.note == "The smallest that is not 0: 20."
    assert found.tables[0].rows == [["everybody", 93, 33, 7]]


def test_genotype_counts_by_group(case: Case):
    one = counts(rows=4, withheld=0)
    fields = {item.name: np.repeat(getattr(one, item.name), 3, axis=-1) for item in declared(one)}
    fields["alleles_shown"] = np.tile([True, False, False], (4, 1))
    found = said(case, GenotypeCounts(**fields), by=["sex"], groups=["F", "M"])
    assert found.what == "counts of alleles for 4 variants in 93 people, and in 2 groups of them"
    assert found.tables[0].rows[1:] == [["F", 93, 0, 4], ["M", 93, 0, 4]]


def test_group_sizes(case: Case):
    found = said(case, group_sizes(["F", "M"], np.array([40, 53]), 93), by=["sex"])
    assert found.what == "the sizes of 2 groups by sex of 93 people"
    assert found.tables[0].rows == [["everybody", 93], ["F", 40], ["M", 53]]


def test_variant_list(case: Case):
    rows = pd.DataFrame(
        {
            "contig": ["2", "10", "X"],
            "position": [1, 2, 3],
            "ref": ["A", "AT", "A"],
            "alt": ["C", "A", "G"],
            "id": ["."] * 3,
        }
    )
    part = empty(
        AGGREGATES["variant_list"],
        text=variants.encode(rows),
        rows_listed=np.array(3),
        rows_withheld=np.array(12),
    )
    found = said(case, part)
    assert found.what == "a list of 3 variants that occur in 93 people"
    assert found.withheld == 12
    assert list(found.bars[0].labels) == ["2", "10", "X"]
    assert found.tables[0].rows == [["single bases", 2], ["others", 1]]


def test_trait_moments(case: Case):
    rng = np.random.default_rng(1)
    x, y = rng.normal(50, 9, (93, 2)), rng.normal(3, 2, (93, 1))
    found = said(case, summarize(x, y), traits=["ldl"], covariates=["age"])
    assert found.what == "people, means and variances of 1 trait and 2 covariates"
    names = [row[0] for row in found.tables[0].rows]
    assert names == ["ldl", "age", "PC1"]
    np.testing.assert_allclose(found.tables[0].rows[0][3:], [y.mean(), y.std(ddof=1)])


def test_no_person_is_in_the_words_of_scores(case: Case):
    found = said(case, empty(AGGREGATES["pca_scores"]))
    assert found.what == "the mean of 4 principal components over 0 people (their scores stay)"


# -- what left before ------------------------------------------------------------------------------


def test_nothing_left_before(case: Case):
    assert compared(case, []) == ["Nothing has left this site before."]
    # The same plan again is the same answer again.
    assert compared(case, [case.facts]) == ["Nothing has left this site before."]


def earlier(case: Case, **changes: Any) -> dict[str, Any]:
    return case.facts | {"plan": "0" * 64} | changes


def test_the_same_cohort_was_described_before(case: Case):
    asked = case.model_copy(update={"parameters": {"traits": ["ldl"], "covariates": ["age"]}})
    first, second = compared(asked, [earlier(asked, names=["age"])])
    assert first.startswith("One release has left of this cohort before, 240 numbers by row in all")
    assert second == "Columns asked for the first time: ldl."


def test_another_cohort_was_described_before(case: Case):
    lines = compared(case, [earlier(case, cohort="e" * 64, people=92)])
    assert lines[0] == "Nothing has left of this cohort before."
    assert lines[1].endswith(
        "(eeeeeeeeeeee, 92 people) was described before; this one has 93: 1 more."
    )


def test_the_same_question_with_other_participants(case: Case):
    lines = compared(case, [earlier(case, sites=["ES", "FI", "SE"])])
    assert "with other participants, with SE, without IT: the difference" in lines[-1]


def test_entries_of_another_shape_are_no_obstacle(case: Case):
    assert compared(case, [{"plan": "0" * 64}]) == ["Nothing has left of this cohort before."]


# -- as a person sees it ---------------------------------------------------------------------------


@pytest.fixture
def view(tmp_path: Path) -> View:
    evidence = [
        Evidence("people", 10, 0, 1),
        Evidence("alleles, both tails", 10, 7, 40, "withheld"),
        Evidence("membership power", 0.5, 0, 33, "review", "membership <can> be told"),
    ]
    case = hold(tmp_path, Ledger(None), evidence=evidence)
    found = view_of(tmp_path, case, [])
    membership = Membership(rows=4000, people=93, alpha=0.05, power=0.9999)
    told = case.model_copy(update={"membership": membership})
    return View(told, found.contents, found.standing, found.history)


def test_the_summary_is_one_sentence_that_says_all(view: View):
    assert view.summary == (
        "Site FI would release counts of alleles for 33 variants in 93 people to hub; 7 rows are "
        "withheld by the floors; an attacker holding someone's genome could tell membership with "
        "power above 0.99 at 5 % false positives."
    )


def test_a_masked_sum_is_said_to_be_one(view: View):
    case = view.case.model_copy(update={"secure_sum": True})
    masked = View(case, view.contents, view.standing, view.history)
    assert "to hub, masked, so that only the total over 3 sites is seen; 7 rows" in masked.summary


def test_costs_and_risks_are_drawn(view: View):
    assert view.cost is not None
    assert view.cost.values == [7]
    assert "17.5 %" in view.cost.note
    assert view.attack is not None
    assert view.attack.values[-1] > 0.99


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.sources += [str(value) for name, value in attrs if name in ("src", "href")]


def test_the_page_is_whole_and_runs_nothing(view: View, tmp_path: Path):
    page = tmp_path / "review.html"
    write_page(page, [view])
    text = page.read_text()
    tags = Tags()
    tags.feed(text)
    assert not tags.sources
    assert not {"script", "iframe", "link", "img"} & tags.seen
    assert "membership &lt;can&gt; be told" in text
    assert view.summary.replace("'", "&#x27;") in text
    assert f"genome-eu site approve {view.case.plan[:12]} --answer {view.case.answer[:16]}" in text
    assert stat.S_IMODE(page.stat().st_mode) == 0o600


def test_a_page_without_cases(tmp_path: Path):
    write_page(tmp_path / "review.html", [])
    assert "Nothing waits for a decision." in (tmp_path / "review.html").read_text()


def test_the_terminal_shows_the_same(view: View, capsys: pytest.CaptureFixture[str]):
    show(view)
    text = " ".join(capsys.readouterr().out.split())
    for part in ("counts of alleles for 33 variants", "membership <can> be told", view.commands[0]):
        assert part in text
    assert COHORT in text


def test_programs_see_the_same(view: View):
    found = as_json(view)
    assert found["summary"] == view.summary
    assert found["case"]["answer"] == view.case.answer
    assert found["contents"]["withheld"] == 7

"""The page of two runs is one file that asks nobody for anything, and no name becomes markup."""

from __future__ import annotations

import base64
import hashlib
import html as entities
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from comparisons import compared, job
from factories import (
    CHINESE,
    EMOJI,
    HOSTILE,
    MARKUP,
    MB,
    analysed,
    hostile_report,
    nested_steps,
    report,
    run,
    tree,
    trees,
)
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.analysis.compare.compare import compare
from memdeep.model import Exit, Mode
from memdeep.model.comparison import Comparison, Figure, PhaseChange
from memdeep.report.comparison import page
from memdeep.report.comparison.page_rows import folded_rows
from memdeep.report.comparison.wording import Wording
from memdeep.report.options import ReportOptions
from memdeep.report.page import payload
from memdeep.text.language import language

BEFORE = {"load": 30, "parse": 12, "train": 60, "save": 9}
AFTER = {"load": 12, "parse": 12, "train": 60, "evaluate": 22}


def render(comparison: Comparison, lang: str = "both") -> str:
    return b"".join(page.encode(comparison, ReportOptions(lang=lang))).decode("utf-8")


def plain() -> Comparison:
    return compared(job(BEFORE), job(AFTER, shift=4))


def hostile() -> Comparison:
    """Every label, function, path and source line means harm, on both sides."""
    names = [f"{name} again" for name in HOSTILE]
    before, after = hostile_report(), hostile_report([*HOSTILE[:3], *names])
    found = compared(before, after)
    sides = [replace(side, names=(MARKUP,)) for side in (found.before, found.after)]
    return replace(found, before=sides[0], after=sides[1], files={MARKUP: MARKUP * 2})


class Elements(HTMLParser):
    """The elements of a page as a browser sees them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[str] = []
        self.blocks: dict[str, str] = {}
        self._inside = ""
        self._block = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        self.tags.append(tag)
        self.attributes.extend((tag, name, value or "") for name, value in attrs)
        if tag == "script":
            named = dict(attrs)
            self._block = named.get("data-block") or named.get("id") or ""
            if not self._block:
                self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script" and self._block:
            self.blocks[self._block] = self.blocks.get(self._block, "") + data
        elif self._inside == "script":
            self.scripts[-1] += data


@pytest.fixture(scope="module")
def hostile_page() -> str:
    return render(hostile())


def test_a_label_cannot_become_a_script(hostile_page: str) -> None:
    assert "alert(1)" in hostile_page
    assert "<script>alert" not in hostile_page
    assert len(Elements(hostile_page).scripts) == len(Elements(render(plain())).scripts) == 2


def test_no_attribute_handles_an_event_or_leads_elsewhere(hostile_page: str) -> None:
    found = Elements(hostile_page)
    assert not [name for _, name, _ in found.attributes if name.startswith("on")]
    for tag, name, value in found.attributes:
        if name == "style":
            assert re.fullmatch(r"(--[a-z]+:[\d.]+%?;?)+", value), (tag, value)
        if name in ("src", "href", "action", "xlink:href", "srcset"):
            assert value.startswith(("#", "data:")), (tag, name, value)
    assert not re.search(r"url\((?!['\"]?(data:|#))|@import", hostile_page)
    assert "https://" not in hostile_page


def test_hostile_names_are_shown_as_they_are(hostile_page: str) -> None:
    text = entities.unescape(hostile_page)
    for name in (MARKUP, CHINESE, EMOJI):
        assert name in text


def test_the_policy_allows_the_scripts_of_the_page_and_no_other(hostile_page: str) -> None:
    found = Elements(hostile_page)
    (policy,) = (value for _, _, value in found.attributes if "default-src 'none'" in value)
    allowed = re.findall("'sha256-([^']+)'", policy)
    assert allowed == [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in found.scripts
    ]


def test_ids_are_there_once(hostile_page: str) -> None:
    ids = [value for _, name, value in Elements(hostile_page).attributes if name == "id"]
    assert len(ids) == len(set(ids))
    labels = ("aria-labelledby", "aria-describedby")
    told = [value for _, name, value in Elements(hostile_page).attributes if name in labels]
    assert {one for value in told for one in value.split()} <= set(ids)


@pytest.mark.parametrize("code", ["en", "zh"])
def test_the_first_sentence_is_that_of_the_terminal(code: str) -> None:
    comparison = plain()
    text = render(comparison, code)
    headline = re.search(r"<h1[^>]*>(.*?)</h1>", text, re.DOTALL)
    assert headline is not None
    assert entities.unescape(headline[1]).strip() == Wording(comparison, language(code)).answer()


def test_figures_stand_side_by_side_with_their_change() -> None:
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", render(plain(), "en")))
    assert "Peak heap 111.0 MB → 106.0 MB ~" in text
    assert "−18.0 MB −60 % 30.0 MB → 12.0 MB" in text
    assert "+22.0 MB – → 22.0 MB" in text  # a phase that is new
    assert "gone −9.0 MB 9.0 MB → –" in text


def test_a_peak_that_was_not_there_is_not_made_up() -> None:
    blocks = Elements(render(plain())).blocks
    rows = payload.unpack(blocks["core"])["rows"]
    assert isinstance(rows, dict)
    (new,) = (row for row, match in enumerate(rows["match"]) if match == "added")
    for figure in rows["figures"].values():
        assert figure["before"][new] is None


def test_several_runs_a_side_are_told_by_their_medians_and_ranges() -> None:
    sides = [
        [(f"{name} {n}", job({"load": size + n})) for n in range(3)]
        for name, size in (("old", 20), ("new", 60))
    ]
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", render(compare(*sides), "en")))
    assert "median of 3 runs → median of 3 runs" in text
    assert "21.0 MB → 61.0 MB +40.0 MB +190 % 20.0 MB … 22.0 MB → 60.0 MB … 62.0 MB" in text


def test_identical_runs_have_one_folded_row() -> None:
    same = job(BEFORE)
    rows = payload.unpack(Elements(render(compared(same, same))).blocks["core"])["rows"]
    assert isinstance(rows, dict)
    assert rows["members"] == [0, 0, 0, 0, 4]
    assert rows["pattern"] == [4, 4, 4, 4, -1]


def test_a_run_that_was_killed_says_so_where_its_timeline_is() -> None:
    killed = job(BEFORE)
    killed = replace(killed, run=replace(killed.run, exit=Exit(None, "SIGKILL", "killed")))
    text = render(compared(job(BEFORE), killed), "en")
    assert "After · after · Killed" in text
    assert 'class="cautions"' in text


def test_runs_without_a_heap_have_a_page() -> None:
    bare = analysed(run("+load", "-load", mode=Mode("rss", False, False)), tree([])[0], [])
    bare = replace(
        bare,
        heap=replace(bare.heap, traced=(), peak_bytes=None),
        phases=tuple(replace(phase, heap=None) for phase in bare.phases),
    )
    core = payload.unpack(Elements(render(compared(bare, bare))).blocks["core"])
    assert core["frames"]
    assert "<h1" in render(compared(report(), report()))


def test_no_source_line_is_shown_where_none_is_wished() -> None:
    comparison = plain()
    assert "rows.append" in render(comparison)
    bare = b"".join(page.encode(comparison, ReportOptions(source=False))).decode("utf-8")
    assert "rows.append" not in bare
    for block in Elements(bare).blocks.values():
        if not block.startswith("{"):
            assert "rows.append" not in str(payload.unpack(block))
    whole = Elements(render(comparison)).blocks["lines"], Elements(bare).blocks["lines"]
    assert len({str(payload.unpack(block)["bytesAfter"]) for block in whole}) == 1


def test_the_same_comparison_is_the_same_page() -> None:
    assert render(plain()) == render(plain())


@st.composite
def programs(draw: st.DrawFn) -> PhaseChanges:
    recorded = run(*draw(nested_steps()))
    return compared(
        analysed(recorded, draw(trees()), []), analysed(recorded, draw(trees()), [])
    ).phases


PhaseChanges = tuple[PhaseChange, ...]


@given(programs())
@examples(60)
def test_only_alike_phases_are_folded_each_once_with_all_within_them(phases: PhaseChanges) -> None:
    rows = folded_rows(phases)
    members = [place for row in rows for place in row.members]
    assert len(members) == len(set(members))
    for row in rows:
        assert {phases[place].parent for place in row.members} == {row.parent}
    for place in members:
        assert phases[place].is_alike
        within = [child for child, one in enumerate(phases) if one.parent == place]
        assert all(phases[child].is_alike for child in within)
        assert not set(within) & set(members)


def test_a_changed_phase_keeps_those_around_it_unfolded() -> None:
    inside = ("index", "check")
    sizes = {"load": 3, "prepare": 0, "index": 8, "check": 3, "save": 1}
    comparison = compared(job(sizes, inside), job({**sizes, "index": 40}, inside))
    assert [phase.figures[Figure.GROWTH].delta for phase in comparison.phases] == [
        *(0, 32 * MB, 32 * MB, 0, 0)
    ]
    assert folded_rows(comparison.phases) == ()

"""The page is one file that asks nobody for anything, and no name in it can become markup."""

from __future__ import annotations

import base64
import hashlib
import html as entities
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO

import pytest
from factories import (
    CHINESE,
    EMOJI,
    MARKUP,
    analysed,
    culprit,
    frame,
    hostile_report,
    lifetime,
    phase,
    report,
    run,
    stdlib,
    tree,
)
from rich.console import Console

from memdeep.analysis.by_line import by_line
from memdeep.analysis.fold import fold
from memdeep.heap.stacks import NO_STACK_FRAME
from memdeep.model import Death, Exit, Report
from memdeep.model.statement import state
from memdeep.report import sentences, terminal
from memdeep.report.page import html, payload, view
from memdeep.report.page.facts import PAGE_SIZE
from memdeep.text import units
from memdeep.text.language import TAGS, chosen
from memdeep.text.safe import plain

# Elements that a page has only where curves, thresholds, evidence or source lines are known.
SHOWN_WHERE_MEASURED = {"pre", "ul", "li", "polygon", "polyline", "path", "text", "line", "tspan"}
SVG_NAMESPACE = "http://www.w3.org/2000/svg"  # a name, not an address anybody asks


EDITOR = "vscode://file/{path}:{line}"


def render(made: Report, lang: str = "both") -> str:
    peaks = [found.peak for found in made.phases]
    blocks = payload.encode(made, fold(made.heap, peaks), by_line(made.heap, peaks), EDITOR)
    spoken = chosen(lang)
    return html.render(view.page(made, blocks, spoken), spoken).decode("utf-8")


class Elements(HTMLParser):
    """Collects the elements of a page as a browser sees them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[str] = []
        self.blocks: dict[str, str] = {}
        self.headline = ""
        self.languages: set[str] = set()
        self._block = ""
        self._inside = ""
        self._heading = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        self.tags.append(tag)
        self.attributes.extend((tag, name, value or "") for name, value in attrs)
        named = dict(attrs)
        if tag == "h1":
            self._heading = True
        if tag == "span" and "data-language" in named:
            self.languages.add(named["data-language"] or "")
        if tag == "script":
            self._block = named.get("data-block") or named.get("id") or ""
            if not self._block:
                self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""
        if tag == "h1":
            self._heading = False

    def handle_data(self, data: str) -> None:
        if self._inside == "script" and self._block:
            self.blocks[self._block] = self.blocks.get(self._block, "") + data
        elif self._inside == "script":
            self.scripts[-1] += data
        elif self._heading:
            self.headline += data


def small_report(**changes: object) -> Report:
    stacks, (node,) = tree([frame("main"), frame("load")])
    return analysed(run("+load", "-load", **changes), stacks, [lifetime(node, 2)])


@pytest.fixture(scope="module")
def hostile_page() -> str:
    return render(hostile_report())


def test_a_label_cannot_become_a_script(hostile_page: str) -> None:
    assert "alert(1)" in hostile_page
    assert "<script>alert" not in hostile_page
    plain = Elements(render(small_report()))
    assert len(Elements(hostile_page).scripts) == len(plain.scripts)


def test_no_attribute_handles_an_event_and_no_tag_comes_from_a_name(hostile_page: str) -> None:
    hostile, plain = Elements(hostile_page), Elements(render(small_report()))
    assert not [name for _, name, _ in hostile.attributes if name.startswith("on")]
    for tag, name, value in hostile.attributes:
        if name == "style":
            assert re.fullmatch(r"(--[a-z]+:[\d.]+%?;?)+", value), (tag, value)
    assert set(hostile.tags) - set(plain.tags) <= SHOWN_WHERE_MEASURED


def test_hostile_names_are_shown_as_they_are(hostile_page: str) -> None:
    text = entities.unescape(hostile_page)
    for name in (MARKUP, CHINESE, EMOJI):
        assert name in text


def test_the_page_asks_nobody_for_anything(hostile_page: str) -> None:
    page = hostile_page.replace(SVG_NAMESPACE, "")
    assert "http://" not in page
    assert "https://" not in page
    assert not re.search(r"url\((?!['\"]?(data:|#))|@import", page)
    for tag, name, value in Elements(hostile_page).attributes:
        if name in ("src", "href", "action", "xlink:href", "srcset"):
            assert value.startswith(("#", "data:")), (tag, name, value)


def policy_of(page: str) -> str:
    contents = [value for tag, _, value in Elements(page).attributes if tag == "meta"]
    (policy,) = (value for value in contents if "default-src" in value)
    return policy


def test_the_policy_of_the_page_forbids_every_request(hostile_page: str) -> None:
    policy = policy_of(hostile_page)
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "script-src 'unsafe-inline'" not in policy


def test_the_policy_allows_the_scripts_of_the_page_and_no_other(hostile_page: str) -> None:
    scripts = Elements(hostile_page).scripts
    assert len(scripts) == 2
    allowed = re.findall("'sha256-([^']+)'", policy_of(hostile_page))
    assert allowed == [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts
    ]


def test_the_data_of_the_page_can_be_read_back(hostile_page: str) -> None:
    blocks = Elements(hostile_page).blocks
    labels = payload.unpack(blocks["core"])["checkpoints"]["label"]
    assert labels == [plain(point.label) for point in hostile_report().run.checkpoints]


def test_the_headline_is_the_first_thing_said(hostile_page: str) -> None:
    made = hostile_report()
    (english,) = (sentences.headline(made, one) for one in chosen("en"))
    assert Elements(render(made, "en")).headline.strip() == english.strip()
    both = "".join(sentences.headline(made, one) for one in chosen("both"))
    assert Elements(hostile_page).headline.strip() == both.strip()


def test_a_page_in_both_languages_says_everything_twice(hostile_page: str) -> None:
    page = Elements(hostile_page)
    assert page.languages == {"en", "zh"}
    assert set(json.loads(page.blocks["words"])) == {"en", "zh"}
    for code in ("en", "zh"):
        alone = hostile_page.count(f'<span lang="{TAGS[code]}" data-language="{code}">')
        assert alone == hostile_page.count('<span lang="en" data-language="en">') > 50


@pytest.mark.parametrize("code", ["en", "zh"])
def test_a_page_in_one_language_has_no_word_of_the_other(code: str) -> None:
    page = render(small_report(), code)
    assert f'<html lang="{TAGS[code]}"' in page
    assert Elements(page).languages == set()
    assert set(json.loads(Elements(page).blocks["words"])) == {code}
    other = "What made the memory grow" if code == "zh" else "内存涨在哪里"
    assert other not in page


def test_the_page_says_how_large_it_is(hostile_page: str) -> None:
    assert PAGE_SIZE not in hostile_page
    size = units.size(len(hostile_page.encode()))
    assert size in hostile_page


def test_a_death_is_told_before_what_made_the_memory_grow() -> None:
    made = small_report(exit=Exit(None, "SIGKILL", "killed"))
    line = culprit(frame("load", filename="/app/a.py", lineno=7), bytes=9 << 20, share=0.9)
    died = Death((0,), 1, 2.5, 1 << 30, 1 << 29, (line,), None)
    page = render(replace(made, death=died))
    told = page.index("It ended in load, 2.5 s after its last checkpoint")
    assert page.index("<h1") < told < page.index('id="findings-title"')
    assert "a.py:7" in page
    assert "When it died" not in render(replace(made, death=None))


def test_what_has_no_stack_is_named_in_the_language_of_the_page() -> None:
    unknown = culprit(NO_STACK_FRAME, bytes=9 << 20, share=0.9)
    made = small_report(exit=Exit(None, "SIGKILL", "killed"))
    made = replace(made, death=Death((0,), 1, 2.5, 1 << 30, 1 << 29, (unknown,), None))
    for lang, words in (("en", "no Python stack"), ("zh", "没有 Python 调用栈")):
        assert f"<bdi>{words}</bdi>" in render(made, lang)
    written = StringIO()
    Console(width=120, file=written).print(terminal.verdict(made, 120, chosen("zh")[0]))
    assert "没有 Python 调用栈" in written.getvalue()


def test_the_line_stands_below_the_headline_which_no_card_repeats() -> None:
    stacks, (node,) = tree([frame("load"), stdlib("loads")])
    made = analysed(run("+load", "-load"), stacks, [lifetime(node, 2)])
    page = render(made, "en")
    assert page.index("<h1") < page.index('class="charged-line"') < page.index("<main")
    assert page.count(entities.escape(sentences.headline(made, chosen("en")[0]), quote=False)) == 1
    assert 'class="charged-line"' not in render(report([phase()]))


def test_a_page_without_findings_says_that_nothing_stands_out() -> None:
    page = render(report([phase()]))
    assert "Nothing stands out" in Elements(page).headline


def test_a_page_without_a_timeline_has_no_empty_picture() -> None:
    assert 'id="timeline"' in render(small_report())
    assert 'id="timeline"' not in render(report([phase()]))


def test_a_page_of_one_phase_shows_it() -> None:
    page = render(analysed(run(), tree([frame()])[0], []))
    assert "(start) → (end)" in page


def test_a_page_without_phases_can_be_made() -> None:
    assert "<h1" in render(report())


@pytest.mark.parametrize(
    "end",
    [
        None,
        Exit(0, None, "completed"),
        Exit(1, None, "failed"),
        Exit(None, "SIGTERM", "killed"),
        Exit(None, "SIGKILL", "oom-killed", (state("exit.system_counter", before=0, after=1),)),
    ],
)
def test_every_ending_has_its_page(end: Exit | None) -> None:
    page = render(small_report(exit=end, duration_s=None))
    verdict = end.verdict if end is not None else "unknown"
    assert f"verdict-{verdict}" in page


def test_a_thousand_phases_are_cut_and_the_page_says_so() -> None:
    phases = [phase(f"phase {place}", rss_delta_bytes=place) for place in range(1000)]
    page = render(report(phases))
    assert "960 smaller phases" in page
    assert "phase 999" in page


def test_a_name_that_no_encoding_carries_does_not_stop_the_page() -> None:
    made = report(run=run(command=("\udcff.py",), name="\udcff.py"))
    assert "\ufffd.py" in render(made)

"""The page is one file that asks nobody for anything, and no name in it can become markup."""

from __future__ import annotations

import html as entities
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from factories import (
    CHINESE,
    EMOJI,
    MARKUP,
    analysed,
    frame,
    hostile_report,
    lifetime,
    phase,
    report,
    run,
    tree,
)

from memdeep.analysis.fold import fold
from memdeep.model import Exit, Report
from memdeep.report import html, payload, view

SVG_NAMESPACE = "http://www.w3.org/2000/svg"  # a name, not an address anybody asks


def render(made: Report) -> str:
    folded = fold(made.heap, [found.peak for found in made.phases])
    return html.render(view.page(made, payload.encode(made, folded))).decode("utf-8")


class Elements(HTMLParser):
    """Collects the elements of a page as a browser sees them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[str] = []
        self.headline = ""
        self._inside = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        self.tags.append(tag)
        self.attributes.extend((tag, name, value or "") for name, value in attrs)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside == "h1":
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
    assert {tag for tag, name, _ in hostile.attributes if name == "style"} <= {
        "span",
        "th",
    }
    assert set(hostile.tags) - set(plain.tags) <= {"pre", "ul", "li", "polygon", "polyline", "text"}


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


def test_the_policy_of_the_page_forbids_every_request(hostile_page: str) -> None:
    policies = [value for tag, _, value in Elements(hostile_page).attributes if tag == "meta"]
    (policy,) = (value for value in policies if "default-src" in value)
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_the_data_of_the_page_can_be_read_back(hostile_page: str) -> None:
    scripts = Elements(hostile_page).scripts
    (data,) = (text for text in scripts if text.startswith('{"version":'))
    labels = json.loads(data)["checkpoints"]["label"]
    assert labels == [point.label for point in hostile_report().run.checkpoints]


def test_the_headline_is_the_first_thing_said(hostile_page: str) -> None:
    made = hostile_report()
    page = view.page(made, "{}")
    assert Elements(hostile_page).headline.strip() == page.headline.strip()
    assert MARKUP in Elements(render(replace(made, findings=made.findings[-1:]))).headline


def test_a_page_without_findings_says_that_nothing_stands_out() -> None:
    page = render(report([phase()]))
    assert "Nothing stands out" in Elements(page).headline


def test_a_page_without_a_timeline_has_no_empty_picture() -> None:
    assert 'id="timeline"' in render(small_report())
    assert 'id="timeline"' not in render(report([phase()]))


def test_a_page_of_one_phase_shows_it() -> None:
    page = render(analysed(run(), tree([frame()])[0], []))
    assert page.count('data-row="') == 1
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
        Exit(None, "SIGKILL", "oom-killed", ("The counter rose.",)),
    ],
)
def test_every_ending_has_its_page(end: Exit | None) -> None:
    page = render(small_report(exit=end, duration_s=None))
    verdict = end.verdict if end is not None else "unknown"
    assert f"verdict-{verdict}" in page


def test_a_thousand_phases_are_cut_and_the_page_says_so() -> None:
    phases = [phase(f"phase {place}", rss_delta_bytes=place) for place in range(1000)]
    page = render(report(phases))
    assert page.count('data-row="') == view.MAX_ROWS
    assert "700 smaller phases" in page
    assert "phase 999" in page


def test_a_name_that_no_encoding_carries_does_not_stop_the_page() -> None:
    made = report(run=run(command=("\udcff.py",), name="\udcff.py"))
    assert "?.py" in render(made)

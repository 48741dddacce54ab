"""Both tables say the same things, nothing is missing in them, and nothing in them is dead."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import ROOT
from word_tables import AROUND, BEGUN, KEYS, PLACEHOLDER, TABLES, WHOLE, sources

from memdeep.model import Advice, FindingKind
from memdeep.text import units
from memdeep.text.language import (
    CHOICES,
    COMPARISON_GROUPS,
    LANGUAGES,
    LIVE_GROUPS,
    SCRIPT_GROUPS,
    Language,
    chosen,
    language,
    template_directory,
)


def whole(*endings: str) -> set[str]:
    return {key for text in sources(*endings) for key in WHOLE.findall(text)}


def composed(*endings: str) -> set[tuple[str, str]]:
    """The beginnings and ends of keys that are put together."""
    parts: set[tuple[str, str]] = set()
    for text in sources(*endings):
        parts.update(AROUND.findall(text))
        parts.update((begin, "") for begin in BEGUN.findall(text))
    return parts


def test_the_tables_have_the_same_keys() -> None:
    assert set(TABLES["zh"]) == KEYS


@pytest.mark.parametrize("key", sorted(KEYS))
def test_a_key_has_words_with_the_same_values_in_each_language(key: str) -> None:
    english, chinese = TABLES["en"][key], TABLES["zh"][key]
    assert english.strip()
    assert chinese.strip()
    forms = [set(PLACEHOLDER.findall(form)) for form in english.split("|")]
    assert len(forms) <= 2
    assert "|" not in chinese, "Chinese has one form"
    assert set(PLACEHOLDER.findall(chinese)) == forms[-1]
    assert all(form <= forms[-1] for form in forms)
    if len(forms) == 2:
        assert "n" in forms[-1], "the number decides between the forms"


def test_chinese_is_set_in_chinese_punctuation() -> None:
    for key, text in TABLES["zh"].items():
        words = re.sub(r"\{\w+\}|[\w.]+\([a-z0, ]*\)|\w+_ms:0,?", "", text)
        if re.search("[\u4e00-\u9fff]", words):
            assert not re.search("[,;:()!?]", words), key


def test_every_key_that_is_spoken_exists() -> None:
    assert not whole(".py", ".js", ".j2") - KEYS


def test_every_key_is_spoken() -> None:
    spoken = whole(".py", ".js", ".j2")
    parts = composed(".py", ".js", ".j2")
    dead = {
        key
        for key in KEYS - spoken
        if not any(
            key.startswith(begin) and key.endswith(end) and len(key) > len(begin) + len(end)
            for begin, end in parts
        )
    }
    assert not dead


def test_scripts_have_the_words_they_speak() -> None:
    groups = {*SCRIPT_GROUPS, *COMPARISON_GROUPS, *LIVE_GROUPS}
    for key in whole(".js"):
        assert key.split(".")[0] in groups, key
    for begin, _ in composed(".js"):
        assert begin.split(".")[0] in groups, begin
    for attributes in sources(".j2"):
        for key in re.findall(r"ta\(\"[\w-]+\", \"([\w.]+)\"", attributes):
            assert key.split(".")[0] in groups, f"{key} changes with the language"


def test_what_is_put_together_from_a_closed_list_exists() -> None:
    needed = {f"finding.share_{kind.value}" for kind in FindingKind}
    for advice in Advice:
        needed |= {f"advice.{advice.name.lower()}", f"evidence.{advice.name.lower()}"}
    facts = (ROOT / "memdeep/report/page/facts.py").read_text("utf-8")
    needed |= {f"facts.{name}" for name in re.findall(r'Fact\(\s*"(\w+)"', facts)}
    assert needed <= KEYS


def saying(text: str) -> Language:
    return Language("en", {"key": text})


@pytest.mark.parametrize(
    ("text", "values", "said"),
    [
        ("{held_bytes}", {"held_bytes": 3 << 20}, "3.0 MB"),
        ("{held_bytes}", {"held_bytes": None}, "–"),
        ("{run_s}", {"run_s": 3.21}, "3.2 s"),
        ("{part_share}", {"part_share": 0.5}, "50.0 %"),
        ("{count}", {"count": 1204}, "1,204"),
        ("{count}", {"count": None}, "–"),
        ("{factor} ×", {"factor": 2.5}, "2.5 ×"),
        ("{name_bytes}", {"name_bytes": "as it is"}, "as it is"),
        ("{n} frame|{n} frames", {"n": 1}, "1 frame"),
        ("{n} frame|{n} frames", {"n": 0}, "0 frames"),
        ("{n} frame|{n} frames", {"n": 1200}, "1,200 frames"),
        ("{n} 帧", {"n": 1}, "1 帧"),
    ],
)
def test_values_are_written_by_the_ending_of_their_names(
    text: str, values: dict[str, int | float | str | None], said: str
) -> None:
    assert saying(text).say("key", **values) == said


@given(name=st.text())
def test_a_value_is_never_read_as_words(name: str) -> None:
    assert saying("a {name} b").say("key", name=name) == f"a {name} b"


def test_what_is_missing_is_an_error_and_not_a_hole() -> None:
    with pytest.raises(KeyError):
        saying("{name}").say("key")
    with pytest.raises(KeyError):
        saying("text").say("other")


@pytest.mark.parametrize(
    ("choice", "codes"), [("en", ["en"]), ("zh", ["zh"]), ("both", ["en", "zh"])]
)
def test_the_languages_of_a_page(choice: str, codes: list[str]) -> None:
    assert choice in CHOICES
    assert [spoken.code for spoken in chosen(choice)] == codes


def test_the_tables_are_sorted_and_have_no_key_twice() -> None:
    for code in LANGUAGES:
        text = (template_directory() / "words" / f"{code}.json").read_text("utf-8")
        pairs = json.loads(text, object_pairs_hook=list)
        keys = [key for key, _ in pairs]
        assert keys == sorted(set(keys)), code


def test_sizes_in_sentences_are_those_of_the_tables() -> None:
    assert language("en").say("facts.peak_rss") == "Peak RSS"
    assert saying("{a_bytes}").say("key", a_bytes=1.5) == units.size(2)

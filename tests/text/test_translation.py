"""Errors, problems and hints in the reader's language: every sentence of the code has its own."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from running import ROOT

from memdeep.loading.journal import Journal, _problems
from memdeep.text import translation
from memdeep.text.language import template_directory

TABLE: dict[str, str] = json.loads(
    (template_directory() / "words" / "sentences.zh.json").read_text("utf-8")
)
# Whose first two arguments are a sentence and a hint.
ERRORS = (
    *("MemdeepError", "ProgramError", "OutputError", "CaptureError", "EngineError"),
    *("RecordingError", "AttachError", "_error", "super().__init__"),
)
# Put together of a count and its noun; the test of the journal's problems has them.
COMPOSED = tuple(f"{{0}} {word}" for word in ("damaged line", "line", "event"))
PLACE = re.compile(r"\{\d\}")


def texts() -> Iterator[tuple[Path, ast.expr, str]]:
    """Every text in the code, with ● where a value is put into it."""
    for path in sorted((ROOT / "memdeep").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield path, node, node.value
            elif isinstance(node, ast.JoinedStr):
                yield path, node, said(node)


def said(node: ast.expr) -> str:
    """The text of ``node`` with ● where a value is put into it; only ● if it is no text."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        parts = (str(part.value) if isinstance(part, ast.Constant) else "●" for part in node.values)
        return "".join(parts)
    return "●"


def errors() -> Iterator[tuple[str, str]]:
    """Where an error is made, and each of its sentences."""
    for path in sorted((ROOT / "memdeep").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ERRORS:
                for argument in node.args[:2]:
                    parts = [argument]
                    if isinstance(argument, ast.IfExp):
                        parts = [argument.body, argument.orelse]
                    for part in parts:
                        text = said(part)
                        if text.replace("●", "").strip(" .:{}"):
                            yield f"{path.name}:{node.lineno}", text


@pytest.mark.parametrize(("place", "text"), [*errors()])
def test_every_error_and_its_hint_has_chinese_words(place: str, text: str) -> None:
    told = translation.into("zh", text)
    assert told != text, place
    assert told.count("●") == text.count("●") or "{2}{3}" in text or "●●" in text


def test_no_pattern_is_of_a_sentence_that_the_code_no_longer_has() -> None:
    # A word that is put together elsewhere is a value in the pattern, and ● in the code.
    sources = "\n".join(text for _, _, text in texts())
    squeezed = re.sub(r"●+", "●", sources).lower()
    gone = [
        english
        for english in TABLE
        if not english.startswith(COMPOSED)
        and not all(part.strip(" .").lower() in squeezed for part in PLACE.split(english))
    ]
    assert gone == []


def test_the_problems_of_a_journal_have_chinese_words() -> None:
    missing = [Journal((), (), count).missing_problem(0) or "" for count in (1, 2)]
    for sentence in (*_problems(1, 1, 1), *_problems(2, 2, 2), *missing):
        assert translation.into("zh", sentence) != sentence


def test_a_full_stop_behind_a_value_is_not_the_value_s() -> None:
    assert translation.into("zh", "There is no file x.py.") == "没有文件 x.py。"
    assert translation.into("zh", "Make it: memdeep report .") == "生成报告：memdeep report ."


def test_the_values_of_both_languages_are_the_same() -> None:
    for english, text in TABLE.items():
        assert sorted(PLACE.findall(text)) == sorted(PLACE.findall(english)), english
        is_sentence = english.endswith(".") and not english.endswith("...")
        assert is_sentence == text.endswith("。"), english


def test_a_sentence_within_a_sentence_is_translated() -> None:
    sentence = "/run/samples is empty. The RSS is known at the checkpoints only."
    assert translation.into("zh", sentence) == "/run/samples 是空的。 只在检查点处知道 RSS。"


def test_english_and_what_is_not_known_stay_as_they_are() -> None:
    assert translation.into("en", "There is no file x.") == "There is no file x."
    assert translation.into("zh", "Quite another sentence.") == "Quite another sentence."


@examples(200)
@given(st.text(max_size=60))
def test_any_value_stays_whole(value: str) -> None:
    told = translation.into("zh", f"There is no module named {value!r} for Python 3.")
    assert repr(value) in told


@examples(200)
@given(st.text())
def test_nonsense_is_no_error(text: str) -> None:
    translation.into("zh", text)

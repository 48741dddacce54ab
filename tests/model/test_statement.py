"""Statements take the values they are about, have words in every language, and are all made."""

from __future__ import annotations

import json
import re
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from word_tables import AROUND, KEYS, PLACEHOLDER, TABLES, sources

from memdeep.model.statement import KINDS, LIMIT, MAX_NUMBER, Statement, decode, state
from memdeep.report import sentences
from memdeep.text.language import LANGUAGES, language

TEXTS = st.text(max_size=20)
NUMBERS = st.integers(1 - MAX_NUMBER, MAX_NUMBER - 1)
PLAIN = {str: TEXTS, int: NUMBERS, float: st.floats(0, 1e9) | st.integers(0, 10**9)}


@st.composite
def statements(draw: st.DrawFn, begin: str = "") -> Statement:
    key = draw(st.sampled_from([key for key in sorted(KINDS) if key.startswith(begin)]))
    values = {
        name: draw(statements(LIMIT) if kind is Statement else PLAIN[kind])
        for name, kind in KINDS[key].items()
    }
    return state(key, **values)


@given(made=statements())
def test_a_statement_comes_back_and_can_be_worded(made: Statement) -> None:
    assert decode(json.loads(json.dumps(asdict(made)))) == made
    said = {code: sentences.statement(made, language(code)) for code in LANGUAGES}
    for name, value in made.values.items():
        if isinstance(value, str):
            assert all(value in text for text in said.values()), name


@pytest.mark.parametrize("key", sorted(KINDS))
def test_a_statement_has_words_for_its_values(key: str) -> None:
    for table in TABLES.values():
        assert set(PLACEHOLDER.findall(table[key])) == set(KINDS[key])


def test_what_words_say_of_an_end_a_limit_or_a_problem_can_be_stated() -> None:
    assert {key for key in KEYS if key.startswith(("exit.", "problem.", LIMIT))} == set(KINDS)


def test_every_statement_is_made() -> None:
    texts = [text for text in sources(".py") if "memdeep.model.statement import" in text]
    made = {key for text in texts for key in re.findall(r'"((?:exit|limit|problem)\.\w+)"', text)}
    parts = [part for text in texts for part in AROUND.findall(text)]
    for key in set(KINDS) - made:
        assert any(key.startswith(begin) and key.endswith(end) for begin, end in parts), key


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("exit.other", {}),
        ("outcome.killed", {"duration_s": 1.0, "signal": "SIGKILL"}),
        ("exit.by_signal", {}),
        ("exit.by_signal", {"signal": "SIGKILL", "n": 1}),
        ("exit.cgroup_counter", {"before": 0, "after": MAX_NUMBER}),
        ("exit.kill_at_ignored", {"grace_s": float("nan")}),
    ],
)
def test_another_statement_cannot_be_made(key: str, values: dict[str, int | float | str]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        state(key, **values)


def test_a_value_of_another_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="signal"):
        state("exit.by_signal", signal=9)
    with pytest.raises(TypeError, match="after"):
        state("exit.cgroup_counter", before=0, after=True)
    with pytest.raises(ValueError, match=r"source is exit\.uncaught"):
        state(
            "exit.rss_left",
            span_s=1,
            first_bytes=0,
            last_bytes=0,
            limit_bytes=0,
            source=state("exit.uncaught", exception="ValueError"),
            rest_bytes=0,
        )

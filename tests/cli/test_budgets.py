"""Budgets in a file: what they may say, and what is said of those that are wrong."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from rich.console import Console

from memdeep.cli import budgets, config
from memdeep.cli.settings import load
from memdeep.errors import EXIT_USAGE, MemdeepError
from memdeep.model.budget import Budget, Check, Rule, Severity
from memdeep.text import toml

MB = 1 << 20
ALL = """\
lang = "zh"

[[budget]]
max-peak-heap = "90M"
max_peak_rss = "1.5 GB"
max-allocations = 100_000
max-growth = 0
max-rise = "2K"

[[budget]]
phase = "加载*"
max-growth = "1 MB"
no-growth = true
severity = "warning"
optional = true

[[budget]]
phase = "外层 › 内层"
no-growth = "64K"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory the search does not leave."""
    (tmp_path / ".git").mkdir()
    return tmp_path


def complaint(project: Path, text: str, name: str = "memdeep.toml") -> tuple[str, str]:
    (project / name).write_text(text, "utf-8")
    with pytest.raises(MemdeepError) as caught:
        load(project)
    assert caught.value.exit_status == EXIT_USAGE
    assert "\n" not in caught.value.message + caught.value.hint
    return caught.value.message, caught.value.hint


def test_budgets_say_what_they_limit_and_where_they_stand(project: Path) -> None:
    file = project / "memdeep.toml"
    file.write_text(ALL, "utf-8")
    loaded = load(project)
    assert [setting.name for setting in loaded.settings] == ["lang"]
    first, second, third = loaded.budgets
    assert first == Budget(
        {
            Check.PEAK_HEAP: 90 * MB,
            Check.GROWTH: 0,
            Check.RISE: 2048,
            Check.ALLOCATIONS: 100_000,
            Check.PEAK_RSS: 1536 * MB,
        },
        Rule(str(file), 3, 1),
    )
    limits = {Check.GROWTH: MB, Check.NO_GROWTH: None}
    assert second == Budget(limits, Rule(str(file), 10, 2), "加载*", Severity.WARNING, True)
    assert third == Budget({Check.NO_GROWTH: 64 << 10}, Rule(str(file), 17, 3), "外层 › 内层")


def test_both_files_hold_the_same_budgets(project: Path) -> None:
    text = ALL.replace("[[budget]]", "[[tool.memdeep.budget]]")
    (project / "pyproject.toml").write_text(f"[tool.memdeep]\n{text}", "utf-8")
    assert [budget.rule.line for budget in load(project).budgets] == [4, 11, 18]


@pytest.mark.parametrize(
    "text",
    [
        'budget = [{ phase = "a", max-growth = 1 }]\n',
        "x = '''\n[[budget]]\n'''\n".replace("x", "start-at") + "[[budget]]\nmax-growth = 1\n",
    ],
)
def test_a_line_that_cannot_be_told_is_not_made_up(project: Path, text: str) -> None:
    (project / "memdeep.toml").write_text(text, "utf-8")
    (budget,) = load(project).budgets
    assert budget.rule == Rule(str(project / "memdeep.toml"), None, 1)


@pytest.mark.parametrize(
    ("lines", "line", "sentence", "hint"),
    [
        ("max-grow = 1", 2, "sets 'max-grow', which no budget has.", "Did you mean max-growth?"),
        ("\nphase = 'a'\nfase = 'b'", 4, "sets 'fase', which no budget has.", "mean phase?"),
        ("xyzzy = 1", 2, "sets 'xyzzy', which no budget has.", "A budget has phase, "),
        ("max-growth = '5'", 2, 'max-growth must be a size such as "32M", or', '= "32M"'),
        ("max-growth = -1", 2, "max-growth must be a size", '= "32M"'),
        ("max-growth = true", 2, "max-growth must be a size", '= "32M"'),
        ("max-growth = 1.5", 2, "max-growth must be a size", '= "32M"'),
        ("max-growth = 9e99", 2, "max-growth must be a size", '= "32M"'),
        ("max-growth = nan", 2, "max-growth must be a size", '= "32M"'),
        ("max-allocations = '5M'", 2, "max-allocations must be a whole number", "100_000"),
        ("phase = 'a'\nno-growth = false", 3, "no-growth must be true, a size", "= true"),
        ("phase = ''\nmax-rise = 1", 2, "phase must be a text that is not empty", "load*"),
        ("phase = 3\nmax-rise = 1", 2, "phase must be a text that is not empty", "load*"),
        ("max-rise = 1\nseverity = 'fatal'", 3, "severity must be one of error, warning.", "="),
        ("max-rise = 1\nseverity = []", 3, "severity must be one of error, warning.", "="),
        ("phase = 'a'\nmax-rise = 1\noptional = 'yes'", 4, "optional must be true or false", "="),
        ("phase = 'a'", 1, "the budget sets no limit.", "Add one of max-peak-heap, "),
        ("", 1, "the budget sets no limit.", "Add one of"),
        ("no-growth = true", 2, "no-growth is for phases, and this budget is for", "load*"),
        ("max-rise = 1\noptional = true", 3, "optional is for phases, and this", "load*"),
        ("phase = 'a'\nmax-peak-rss = 1", 3, "max-peak-rss is for the run, and", "without a phase"),
        ("max-rise = 1\nmax_rise = 2", 3, "sets max-rise a second time.", "Keep one"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    project: Path, lines: str, line: int, sentence: str, hint: str
) -> None:
    told, advice = complaint(project, f"[[budget]]\n{lines}\n")
    assert told.startswith(f"{project / 'memdeep.toml'}:{line}")
    assert sentence in told
    assert hint in advice


def test_a_budget_that_is_no_list_of_tables_is_told(project: Path) -> None:
    for text in ("budget = 3", "budget = [1]", "[budget]\nmax-rise = 1"):
        told, advice = complaint(project, text)
        assert told.endswith("budget must be a list of tables.")
        assert advice == "Begin each with [[budget]]."
    (project / "memdeep.toml").unlink()
    _, advice = complaint(project, "[tool.memdeep.budget]\na = 1", "pyproject.toml")
    assert advice == "Begin each with [[tool.memdeep.budget]]."


def test_another_word_for_it_is_told(project: Path) -> None:
    _, advice = complaint(project, "[[budgets]]\nmax-rise = 1")
    assert advice == "Did you mean [[budget]]?"


def test_hostile_keys_are_made_plain(project: Path) -> None:
    told, advice = complaint(project, '[[budget]]\n"\\u001b[31m\\n" = 1\n')
    assert "\x1b" not in told + advice
    told, _ = complaint(project, f'[[budget]]\n"{"k" * 5000}" = 1\n')
    assert len(told) < 300


@examples(60)
@given(
    st.one_of(st.integers(0, 1 << 50), st.sampled_from(["1M", "64K", "1.5G"]), st.just(True)),
    st.sampled_from(["phase = '加载*'\n"]),
)
def test_what_is_shown_is_what_was_set(value: int | str | bool, phase: str) -> None:
    written = "true" if value is True else repr(value)
    table = toml.document(f"{phase}no-growth = {written}\n")
    (budget,) = budgets.read(Path("/p/memdeep.toml"), "", [table])
    again = toml.document("\n".join(budgets.shown(budget)))
    assert budgets.read(Path("/p/memdeep.toml"), "", [again]) == (budget,)


def test_config_lists_the_budgets(project: Path) -> None:
    (project / "memdeep.toml").write_text(ALL, "utf-8")
    console = Console(file=io.StringIO(), width=80, color_system=None, _environ={})
    console.print(config.budget_table(load(project)))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert 'phase = "加载*"' in text and 'max-peak-heap = "90M"' in text
    assert "memdeep.toml:10" in text

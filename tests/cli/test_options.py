"""The table of options is the only place where an option is declared; the rest follows it."""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import environment

from memdeep.cli import arguments
from memdeep.cli.options import OPTIONS, Option, Place, Settings
from memdeep.cli.run import run_options
from memdeep.cli.settings import Config, merge
from memdeep.record.how import HowToRecord
from memdeep.report.options import ReportOptions
from memdeep.run.options import RunOptions
from memdeep.text.units import size_bytes

DEFAULTS = merge({}, Config())
NOT_OPTIONS = {
    "grid_s",
    "run_dir",
    "dumps_stacks",
    "orders",
}  # what the parent prepares for the recording


def fields(kind: type) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


def test_the_options_of_a_place_are_the_fields_that_take_them() -> None:
    assert set(DEFAULTS.of(Place.PROGRAM)) == set(HowToRecord.__annotations__) - NOT_OPTIONS
    assert set(DEFAULTS.of(Place.RUN)) == fields(RunOptions) - {"how", "interpreter"}
    assert set(DEFAULTS.of(Place.REPORT)) == fields(ReportOptions) - {"width", "cache"}


def test_an_option_acts_somewhere_and_its_places_are_of_classes_that_exist() -> None:
    assert all(option.places for option in OPTIONS)
    assert {place for option in OPTIONS for place in option.places} == set(Place)


def test_names_and_fields_are_unique() -> None:
    names = [name for option in OPTIONS for name in (option.name, *option.also)]
    assert len(names) == len(set(names))
    for place in Place:
        taken = [option.field or option.destination for option in OPTIONS if place in option.places]
        assert len(taken) == len(set(taken))


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_the_command_line_takes_every_name_of_an_option(option: Option) -> None:
    parser = arguments.parser("run")
    of_kind = {"flag": [], "number": ["0.01"], "count": ["5"], "megabytes": ["5"], "size": ["5M"]}
    of_kind["time"] = ["5m"]
    value = of_kind.get(option.kind, [option.choices[0] if option.choices else "x:{path}"])
    names = [f"--{name}" for name in (option.name, *option.also)]
    for name in [*names, *([f"-{option.short}"] if option.short else [])]:
        given_values = arguments.given(parser.parse_args([name, *value]), OPTIONS)
        assert [key for key, found in given_values.items() if found is not None] == [option.name]


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_the_help_of_an_option_names_a_default_that_does_something(option: Option) -> None:
    assert ("(default: " in option.help) == (
        bool(option.default_words) or option.default not in (None, False, ())
    )


def test_the_defaults_record_with_memray_and_native_frames_and_trace_everything() -> None:
    options = run_options(DEFAULTS)
    assert (options.how.backend, options.how.native) == ("memray", True)
    assert (options.how.traced_only, options.how.marks) == ((), [])
    assert options.how.interval_ms == 50
    assert options.keep_free_bytes == 1 << 30
    assert (options.warning_bytes, options.kill_bytes, options.max_capture_bytes) == (None,) * 3


def test_what_is_given_reaches_the_stage_it_is_for_in_bytes() -> None:
    settings = merge(
        {"warning-mb": 1.5, "kill-at": "2K", "max_capture": "1.5 GB", "focus": ["a", "b"]},
        Config(),
    )
    around = settings.of(Place.RUN)
    assert (around["warning_bytes"], around["kill_bytes"]) == (3 << 19, 2048)
    assert around["max_capture_bytes"] == size_bytes("1.5G") == 3 << 29
    assert settings.of(Place.PROGRAM)["focus"] == ("a", "b")


@given(st.sampled_from(OPTIONS))
def test_a_value_is_of_the_type_its_class_declares(option: Option) -> None:
    if Place.PROGRAM in option.places:
        kind = HowToRecord.__annotations__[option.field or option.destination]
        value = DEFAULTS.of(Place.PROGRAM)[option.field or option.destination]
        assert isinstance(value, kind if kind in (bool, int, float, str) else tuple)


def test_a_path_from_the_command_line_stays_as_it_was_given() -> None:
    parser = argparse.ArgumentParser()
    arguments.add(parser, OPTIONS)
    settings = Settings(
        merge(arguments.given(parser.parse_args(["-o", "a/../b"]), OPTIONS), Config())
    )
    assert settings.path("output") == Path("a/../b")


@pytest.mark.parametrize("words", [("--version",), ("--help",)])
def test_an_answer_that_needs_nothing_imports_next_to_nothing(words: tuple[str, ...]) -> None:
    code = (
        "import io, sys; before = set(sys.modules)\n"
        "from memdeep.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print(*sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.split() == [
        "gc",  # built in
        "memdeep",
        "memdeep.cli",
        "memdeep.cli.help",
        "memdeep.cli.main",
        "memdeep.errors",
        "memdeep.record",
        "memdeep.record.api",
        "memdeep.version",
    ]
    assert done.stdout.startswith(("memdeep 0", "usage: memdeep"))


def test_a_dash_is_no_file_to_write_the_result_of_a_check_to() -> None:
    told = arguments.parser("check").parse(["--format", "junit=-", "--format", "text"])
    assert told.format == [("junit", None), ("text", None)]

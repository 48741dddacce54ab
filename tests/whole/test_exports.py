"""Exports of real runs, held against their `report.json` and opened by the formats' own readers.

`pprof` and Mozilla's `profiler-cli` are used where they are installed, or named by PPROF and
PROFILER_CLI; the tests of them say so where they are not.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from exported import FIELDS, Profile, exported, phases_in, retained_in, sums_of
from running import PROGRAMS, TIMEOUT_S, environment, memdeep_command, read_json

from memdeep import pipeline
from memdeep.model import Report
from memdeep.report.exports.formats import FORMATS
from memdeep.report.exports.options import ExportOptions

FORKS = """
import os
from memdeep import phase
kept = []
with phase("加载;config"):
    kept.append(bytearray(3_000_000))
with phase("work"):
    pid = os.fork()
    if not pid:
        with phase("in the child"):
            kept.append(bytearray(5_000_000))
        os._exit(0)
    os.waitpid(pid, 0)
    kept.append(bytearray(1_000_000))
"""
RUNS: Mapping[str, tuple[object, ...]] = {
    "threads": (PROGRAMS / "threads_allocate.py", 6),
    "deep": ("--deep", PROGRAMS / "grows.py"),
    "killed": (PROGRAMS / "dies.py", "SIGKILL"),
    "tracemalloc": ("--backend", "tracemalloc", PROGRAMS / "grows.py"),
    "rss": ("--backend", "rss", PROGRAMS / "grows.py"),
    "focus": ("--focus", "repeat", PROGRAMS / "grows.py"),
    "children": ("-c", FORKS),
}
WITH_STACKS = [name for name in RUNS if name != "rss"]


@dataclass(frozen=True)
class Recorded:
    """A run of one kind, its report, and what its `report.json` says of each phase, by path."""

    path: Path
    report: Report
    said: Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Recorded]:
    found = {}
    for name, words in RUNS.items():
        path = tmp_path_factory.mktemp("runs") / name
        command = memdeep_command("run", "--quiet", "-o", path, *words)
        done = subprocess.run(command, env=environment(), capture_output=True, timeout=TIMEOUT_S)
        assert done.returncode == (137 if name == "killed" else 0), done.stderr.decode()
        report = pipeline.analyse(pipeline.load(path, lambda _: None), lambda _: None)
        found[name] = Recorded(path, report, phases_of(read_json(path / "report.json")))
    return found


def phases_of(fields: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The phases of the program in `report.json` by their paths; patterns of them are left out."""
    paths: list[str] = []
    found = {}
    for phase in fields["phases"]:
        around, name = phase["parent"], phase["name"]
        paths.append(name if around is None else f"{paths[around]}/{name}")
        if phase["kind"] != "pattern" and phase["process"] == 0:
            found[paths[-1]] = phase
    return found


@pytest.mark.parametrize("format", ["pprof", "speedscope", "collapsed", "csv"])
@pytest.mark.parametrize("name", WITH_STACKS)
def test_the_bytes_of_a_phase_are_those_of_report_json(
    recorded: Mapping[str, Recorded], name: str, format: str
) -> None:
    one = recorded[name]
    sums = sums_of(format, one.report)
    assert {"kept", "retained"} <= sums.keys()
    assert ("allocated" in sums) == (name != "tracemalloc" or format == "csv")
    for figure, by_phase in sums.items():
        for path, phase in one.said.items():
            assert by_phase.get((path, figure), 0) == (phase[FIELDS[figure]] or 0), (path, figure)


@pytest.mark.parametrize("name", WITH_STACKS)
def test_a_zoom_to_a_phase_shows_in_firefox_what_it_retained(
    recorded: Mapping[str, Recorded], name: str
) -> None:
    one = recorded[name]
    profile = json.loads(exported("firefox", one.report))
    sums: dict[str, int] = {}
    for path, start, end in phases_in(profile):
        sums[path] = sums.get(path, 0) + retained_in(profile, start, end)
    known = {path: phase for path, phase in one.said.items() if phase["retained_bytes"] is not None}
    assert known
    assert {path: sums[path] for path in known} == {
        path: phase["retained_bytes"] for path, phase in known.items()
    }


@pytest.mark.parametrize("format", FORMATS, ids=lambda one: one.name)
@pytest.mark.parametrize("name", RUNS)
def test_each_run_goes_into_each_format_or_is_refused_in_words(
    recorded: Mapping[str, Recorded], name: str, format: Any, tmp_path: Path
) -> None:
    into = tmp_path / f"job{format.suffixes[0]}"
    command = memdeep_command("export", recorded[name].path, "-o", into)
    done = subprocess.run(command, env=environment(), capture_output=True, timeout=TIMEOUT_S)
    if name == "rss" and format.needs_heap:
        assert done.returncode == 65
        assert done.stderr.startswith(b"memdeep: No allocations were traced in this run")
        assert not into.exists()
    else:
        assert (done.returncode, done.stdout) == (0, b"")
        assert f"Written: {into}" in done.stderr.decode()
        again = tmp_path / f"again{format.suffixes[0]}"
        subprocess.run([*command[:-1], again], env=environment(), capture_output=True, check=True)
        assert again.read_bytes() == into.read_bytes()


def test_a_process_of_the_program_is_told_from_it(recorded: Mapping[str, Recorded]) -> None:
    one = recorded["children"]
    profile = Profile.decoded(exported("pprof", one.report))
    processes = {label for sample in profile.samples for label in sample.labels["process"]}
    assert any(re.fullmatch(r"program \d+", name) for name in processes)
    assert any(re.fullmatch(r"fork \d+", name) for name in processes)
    text = exported("openmetrics", one.report).decode()
    assert 'phase="in the child",process="1"' in text
    assert 'phase="加载;config",process="0"' in text
    rows = exported("csv", one.report).decode()
    assert "\n1,in the child," in rows
    events = json.loads(exported("perfetto", one.report))["traceEvents"]
    assert {event["pid"] for event in events} == {0, 1}
    (child,) = (one.path / "children").iterdir()  # the child's own phases, with their stacks
    own = pipeline.analyse(pipeline.load(child, lambda _: None), lambda _: None)
    sums = sums_of("collapsed", own)["retained"]
    assert sums["in the child", "retained"] >= 5_000_000


def test_sources_and_arguments_are_left_out_where_that_is_asked(
    recorded: Mapping[str, Recorded],
) -> None:
    path = recorded["killed"].path
    export = ("export", path, "-o", "-", "--format")
    plain = memdeep_command(*export, "csv", "--table", "lines")
    hidden = [*plain, "--no-source"]
    texts = [
        subprocess.run(command, env=environment(), capture_output=True, check=True).stdout
        for command in (plain, hidden)
    ]
    assert [b"more = bytearray(8_000_000)" in text for text in texts] == [True, False]
    for name in ("pprof", "firefox", "perfetto"):
        command = memdeep_command(*export, name)
        for words, is_told in ((command, True), ([*command, "--redact-args"], False)):
            done = subprocess.run(words, env=environment(), capture_output=True, check=True)
            text = done.stdout
            if name == "pprof":
                text = "\n".join(Profile.decoded(text).texts).encode()
            assert (b"SIGKILL" in text) == is_told, (name, words)


def tool(name: str, variable: str) -> str:
    """The path of a reader; the test is skipped where there is none."""
    found = os.environ.get(variable) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed here, and {variable} names none")
    return found


def test_pprof_reads_the_figures_and_no_name_is_lost(
    recorded: Mapping[str, Recorded], tmp_path: Path
) -> None:
    pprof = tool("pprof", "PPROF")
    for name in WITH_STACKS:
        one = recorded[name]
        file = tmp_path / f"{name}.pb.gz"
        file.write_bytes(exported("pprof", one.report))

        def told(*words: str, file: Path = file) -> str:
            command = [pprof, "-unit=B", *words, str(file)]
            env = environment(HOME=str(tmp_path))
            done = subprocess.run(command, capture_output=True, text=True, env=env)
            assert done.returncode == 0, done.stderr
            return done.stdout

        assert "<unknown>" not in told("-top", "-nodecount=1000", "-nodefraction=0")
        tags = told("-tags", "-sample_index=retained_space")
        sums = {
            path: int(size)
            for size, path in re.findall(r"^ +(\d+)(?:\.0)?B \( *\S+%\): (.+)$", tags, re.MULTILINE)
        }
        for path, phase in one.said.items():
            assert sums.get(path, 0) == (phase["retained_bytes"] or 0), (name, path)


def test_mozillas_own_reader_shows_what_each_phase_retained(
    recorded: Mapping[str, Recorded], tmp_path: Path
) -> None:
    reader = tool("profiler-cli", "PROFILER_CLI")
    one = recorded["deep"]
    file = tmp_path / "job.json"
    file.write_bytes(exported("firefox", one.report))
    profile = json.loads(file.read_bytes())
    start_ms = profile["meta"]["profilingStartTime"]

    def told(*words: str) -> str:
        env = environment(HOME=str(tmp_path))
        done = subprocess.run(
            [reader, *words], capture_output=True, text=True, env=env, timeout=TIMEOUT_S
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    told("load", str(file))
    try:
        told("strategy", "native-retained-allocations")
        sums: dict[str, int] = {}
        for path, start, end in phases_in(profile):
            told("zoom", "push", f"{start - start_ms:.6f}ms,{end - start_ms:.6f}ms")
            functions = json.loads(told("thread", "functions", "--json"))["functions"]
            sums[path] = sums.get(path, 0) + sum(each["selfSamples"] for each in functions)
            told("zoom", "clear")
    finally:
        told("stop", "--all")
    assert sums == {path: phase["retained_bytes"] for path, phase in one.said.items()}


def test_an_export_of_a_long_run_is_quick_and_small() -> None:
    """600 phases and 6,000 lifetimes: speedscope has a bound, pprof needs none."""
    from factories import analysed, frame, lifetime, run, tree

    stacks, nodes = tree(*([frame("main"), frame(f"f{place}")] for place in range(50)))
    steps = [step for place in range(600) for step in (f"+p{place}", f"-p{place}")]
    lives = [
        lifetime(nodes[place % 50], 1 + place % 1200, bytes=1000 + place) for place in range(6_000)
    ]
    report = analysed(run(*steps), stacks, lives)
    begun_s = time.process_time()
    sizes = {
        name: len(exported(name, report, ExportOptions()))
        for name in ("pprof", "speedscope", "collapsed", "openmetrics", "perfetto")
    }
    assert time.process_time() - begun_s < 30
    assert sizes["pprof"] < 1 << 20
    assert sizes["speedscope"] < 1 << 20

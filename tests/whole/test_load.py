"""`memdeep.load` knows what report.json knows, to the byte, and every stack and line besides."""

from __future__ import annotations

import gc
import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from running import PROGRAMS, environment, memdeep_command, read_json, wait_until

import memdeep
from memdeep.errors import CaptureError, MemdeepError, MissingLibraryError, NotKnownError
from memdeep.results import Line, Phase, Result

SCENES = {
    "bytes": ("known_bytes.py",),
    "deep": ("--deep", "known_bytes.py"),
    "no-native": ("--no-native", "known_parts.py"),
    "threads": ("threads.py",),
    "allocating threads": ("threads_allocate.py", "12"),
    "children": ("forks.py",),
    "workers": ("starts_workers.py",),
    "splits": ("splits.py",),
    "tracemalloc": ("--backend", "tracemalloc", "known_bytes.py"),
    "rss": ("--backend", "rss", "known_bytes.py"),
    "focus": ("--focus", "keep", "known_bytes.py"),
    "dies": ("ways_to_die.py", "abort"),
}
ODD = """\
import memdeep
with memdeep.phase("外层"):
    with memdeep.phase("内层"):
        kept = [bytearray(1_000_000) for _ in range(3)]
with memdeep.phase("second"):
    with memdeep.phase("内层"):
        more = bytearray(500_000)
with memdeep.phase("a/b"):
    kept.clear()
with memdeep.phase("x\\n\\x1b[31m<script>`|" + "长" * 10_000):
    pass
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Makes each run when it is first asked for; returns its directory."""
    place = tmp_path_factory.mktemp("runs")

    def run(scene: str) -> Path:
        out = place / scene
        if not out.exists():
            (place / "odd.py").write_text(ODD, "utf-8")
            words = [
                str(place / word)
                if word == "odd.py"
                else str(PROGRAMS / word)
                if word.endswith(".py")
                else word
                for word in SCENES.get(scene, ("odd.py",))
            ]
            subprocess.run(
                memdeep_command("run", "--quiet", "-o", out, *words),
                cwd=place,
                env=environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        return out

    return run


def lines_are(report: dict[str, Any], found: Sequence[Line], listed: list[dict[str, Any]]) -> bool:
    """Tell if the first of ``found`` are those that report.json lists.

    It has the line that made the heap grow among those that kept something, though it kept nothing.
    """
    listed = [one for one in listed if one["bytes"]]
    for line, culprit in zip(found, listed, strict=False):
        assert (line.filename, line.lineno) == (culprit["filename"], culprit["lineno"])
        for name in ("function", "source", "bytes", "allocations", "resident_bytes"):
            assert getattr(line, name) == culprit[name], name
        assert (line.thread, line.process) == (culprit["thread"], culprit["process"])
        assert round(line.share, 6) == culprit["share"]
        stack = [report["frames"][place] for place in report["stacks"][culprit["stack"]]]
        if not any("left_out" in frame for frame in stack):
            assert [frame.path for frame in line.stack] == [frame["path"] for frame in stack]
            assert [frame.origin for frame in line.stack] == [frame["origin"] for frame in stack]
    return len(found) >= len(listed)


def phase_is(report: dict[str, Any], phase: Phase, fields: dict[str, Any]) -> None:
    assert (phase.name, phase.kind, phase.thread) == tuple(
        fields[name] for name in ("name", "kind", "thread")
    )
    assert (phase.parent, phase.repeats) == (fields["parent"], fields["repeats"])
    assert round(phase.duration, 6) == fields["duration_s"]
    assert (phase.growth, phase.peak, phase.rise, phase.kept, phase.retained, phase.freed) == tuple(
        fields[f"{name}_bytes"]
        for name in ("heap_delta", "peak_heap", "rise", "kept", "retained", "released")
    )
    assert (phase.rss_growth, phase.allocations) == (
        fields["rss_delta_bytes"],
        fields["allocations"],
    )
    if phase.growth is None:
        for call in (phase.stacks, phase.lines):
            with pytest.raises(NotKnownError, match="not all of it was traced"):
                call()
        assert (phase.culprit, phase.culprits) == (None, ())
        return
    for which, figure in (
        ("kept", phase.kept),
        ("retained", phase.retained),
        ("freed", phase.freed),
        ("peak", phase.peak),
        ("allocated", fields["allocated_bytes"]),
    ):
        if figure is not None:
            assert sum(stack.bytes for stack in phase.stacks(which)) == figure, which  # type: ignore[arg-type]
    lists = {"kept": "culprits", "peak": "peak_culprits", "freed": "freed_culprits"}
    for which, name in lists.items():
        assert lines_are(report, phase.lines(which), fields[name]), which  # type: ignore[arg-type]
        sizes = [line.bytes for line in phase.lines(which)]  # type: ignore[arg-type]
        assert sizes == sorted(sizes, reverse=True)
    assert phase.culprits == phase.lines("kept")
    if phase.culprit is None:
        first = next(iter(phase.culprits), None)
        is_of_no_code = first is not None and first.share < 0.5
        assert first is None or phase.growth < 0 or is_of_no_code
    else:
        assert phase.culprit in phase.culprits
        assert phase.freed or phase.culprit == phase.culprits[0]


@pytest.mark.parametrize("scene", SCENES)
def test_a_result_is_as_its_report_to_the_byte(runs: Any, scene: str) -> None:
    report = read_json(runs(scene) / "report.json")
    result = memdeep.load(runs(scene))
    own = [one for one in report["phases"] if one["process"] == 0 and one["kind"] != "pattern"]
    assert len(result.phases) == len(own)
    for phase, fields in zip(result.phases, own, strict=True):
        phase_is(report, phase, fields)
    assert (result.peak, result.peak_rss) == (report["peak_heap_bytes"], report["peak_rss_bytes"])
    assert list(result.command) == report["command"]
    assert list(result.problems) == report["problems"]
    assert result.exit is not None
    assert (result.exit.verdict, result.exit.code) == (
        report["exit"]["verdict"],
        report["exit"]["code"],
    )
    assert result.identity is not None
    assert (result.identity.root, result.identity.main) == (
        report["identity"]["root"],
        report["identity"]["main"],
    )
    points = [one for one in report["checkpoints"] if one["process"] == 0]
    assert [(one.label, one.rss, one.heap) for one in result.checkpoints] == [
        (one["label"], one["rss_bytes"], one["heap_bytes"]) for one in points
    ]
    for finding, fields in zip(result.findings, report["findings"], strict=True):
        for name in ("kind", "title", "bytes", "resident_bytes", "advice", "evidence"):
            assert getattr(finding, name) == fields[name]
        assert finding.phase.name == own[fields["phase"]]["name"]
        assert (finding.culprit is None) == (fields["culprit"] is None)
        if finding.culprit is not None:
            assert lines_are(report, [finding.culprit], [fields["culprit"]])
    for process, fields in zip(result.processes, report["processes"], strict=True):
        assert (process.pid, process.how, process.exit) == (
            fields["pid"],
            fields["how"],
            fields["exit"],
        )
        assert (process.peak_heap, process.peak_rss) == (
            fields["peak_heap_bytes"],
            fields["peak_rss_bytes"],
        )
    named = [phase.name for one in result.processes[1:] for phase in one.phases]
    of_others = [one for one in report["phases"] if one["process"] and one["kind"] != "pattern"]
    assert named == [one["name"] for one in of_others]


@pytest.mark.parametrize("scene", ["bytes", "deep", "allocating threads", "children"])
def test_the_stacks_of_a_run_add_up(runs: Any, scene: str) -> None:
    result = memdeep.load(runs(scene))

    def total(which: Any) -> int:
        return sum(stack.bytes for stack in result.stacks(which))

    assert total("peak") == result.peak
    assert total("kept") == result.growth == result.checkpoints[-1].heap
    assert total("kept") + total("freed") == total("allocated")
    assert result.rise == result.peak
    frames = [frame for stack in result.stacks("allocated") for frame in stack.frames]
    assert any(frame.path == result.identity.main for frame in frames if result.identity)


def test_lines_that_report_json_leaves_out_are_there(runs: Any) -> None:
    (runs("bytes").parent / "many.py").write_text(
        "import memdeep\nkept = []\nwith memdeep.phase('many'):\n"
        + "".join(f"    kept.append(bytearray({50_000 + line}))\n" for line in range(60))
    )
    out = runs("bytes").parent / "many"
    done = subprocess.run(
        memdeep_command("run", "-q", "-o", out, runs("bytes").parent / "many.py"),
        env=environment(),
        check=False,
    )
    assert done.returncode == 0
    phase = memdeep.load(out).phases["many"]
    assert len(phase.culprits) >= 60
    assert sum(line.bytes for line in phase.culprits) <= (phase.retained or 0)
    assert [line.lineno for line in phase.culprits[:60]] == list(range(63, 3, -1))


@pytest.fixture(scope="module")
def odd(runs: Any) -> Result:
    result: Result = memdeep.load(runs("odd"))
    return result


def test_a_phase_is_found_by_name_path_and_index(odd: Result) -> None:
    phases = odd.phases
    assert phases["外层"].path == "外层"
    assert phases["外层/内层"].growth == phases["外层/内层"].kept
    inner = phases["second/内层"]
    assert phases[inner.index] is inner
    assert phases["a/b"].name == "a/b"
    assert phases[-1].name.startswith("x\n")
    assert [one.index for one in phases[1:3]] == [1, 2]
    assert "外层" in phases
    assert "nothing" not in phases
    assert phases[0] in phases
    assert len([*phases]) == len(phases)
    with pytest.raises(IndexError):
        phases[100]


def test_an_ambiguous_name_is_refused_with_the_paths(odd: Result) -> None:
    with pytest.raises(KeyError) as caught:
        odd.phases["内层"]
    first, second = odd.phases["外层/内层"].index, odd.phases["second/内层"].index
    assert str(caught.value) == (
        f'There are 2 phases named "内层": "外层/内层" (index {first}), '
        f'"second/内层" (index {second}). Give the path of one, or its index.'
    )
    assert isinstance(caught.value, MemdeepError)


def test_an_unknown_name_is_refused_with_those_near_it(odd: Result) -> None:
    with pytest.raises(KeyError) as caught:
        odd.phases["secnd"]
    assert isinstance(caught.value, MemdeepError)
    assert caught.value.message == 'There is no phase named "secnd".'
    assert '"second"' in caught.value.hint
    assert str(caught.value) == f"{caught.value.message} {caught.value.hint}"
    with pytest.raises(KeyError) as caught:
        odd.phases["\x1b[31m" * 10_000]
    assert len(str(caught.value)) < 200
    assert str(caught.value).isprintable()


def test_what_is_shown_fits_a_line(odd: Result) -> None:
    shown = [odd, odd.phases, *odd.phases, *odd.findings, *odd.processes]
    shown += [*odd.phases[0].culprits[:2], *odd.phases[0].stacks()[:2]]
    for text in map(repr, shown):
        assert text.isprintable(), text
        assert len(text) <= 250, text
    assert repr(odd).startswith("<Result of odd: completed, peak heap ")
    assert repr(odd.phases["外层/内层"]) == "<Phase 内层: heap +2.9 MB, peak 2.9 MB, odd.py:4>"


def test_a_wrong_word_is_one_sentence(odd: Result) -> None:
    for call in (
        lambda: odd.phases[0].stacks("kpt"),  # type: ignore[arg-type]
        lambda: odd.stacks("kpt"),  # type: ignore[arg-type]
        lambda: odd.to_arrow("kpt"),  # type: ignore[arg-type]
    ):
        with pytest.raises(NotKnownError, match="kpt"):
            call()


@pytest.mark.parametrize("table", ["phases", "lines", "checkpoints"])
@pytest.mark.parametrize("scene", ["odd", "rss", "dies"])
def test_tables_have_the_figures_and_their_types(runs: Any, scene: str, table: Any) -> None:
    pandas = pytest.importorskip("pandas")
    result = memdeep.load(runs(scene))
    made = result.to_pandas(table)
    if table == "phases":
        growths = [None if pandas.isna(one) else one for one in made["heap_delta_bytes"]]
        assert growths == [phase.growth for phase in result.phases]
        assert list(made["repeats"]) == [phase.repeats for phase in result.phases]
    if table == "lines":
        kept = made.groupby("phase")["retained_bytes"].sum()
        assert sum(kept) == sum(phase.retained or 0 for phase in result.phases)
    if table == "checkpoints":
        assert list(made["heap_bytes"].dropna()) == [
            point.heap for point in result.checkpoints if point.heap is not None
        ]
    integers = [name for name in made if name.endswith("bytes")]
    assert {str(made[name].dtype) for name in integers} == {"Int64"}


@pytest.mark.parametrize("table", ["phases", "lines", "checkpoints"])
def test_arrow_has_the_same_tables(odd: Result, table: Any) -> None:
    pytest.importorskip("pyarrow")
    pandas = pytest.importorskip("pandas")
    frame, made = odd.to_pandas(table), odd.to_arrow(table)
    assert made.column_names == list(frame.columns)
    assert made.num_rows == len(frame)
    for name in made.column_names:
        given = [None if pandas.isna(one) else one for one in frame[name].astype(object)]
        assert made[name].to_pylist() == given, name


def test_a_missing_library_is_one_sentence(odd: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("memdeep.objects.tables.import_module", missing)
    with pytest.raises(MissingLibraryError) as caught:
        odd.to_arrow()
    assert isinstance(caught.value, ImportError)
    assert str(caught.value).startswith("pyarrow is not installed")
    assert caught.value.hint == "Install it: python -m pip install pyarrow"


def test_a_bare_capture_has_what_a_capture_knows(runs: Any, tmp_path: Path) -> None:
    result = memdeep.load(str(runs("bytes") / "capture.bin"))
    assert (result.exit, result.identity, result.python) == (None, None, None)
    assert result.peak == memdeep.load(runs("bytes")).peak
    assert [phase.kind for phase in result.phases] == ["segment"]
    assert sum(stack.bytes for stack in result.stacks("kept")) == result.growth


def test_a_run_is_loaded_while_it_is_recorded(work: Path) -> None:
    code = (
        "import memdeep, time, os\n"
        "with memdeep.phase('done'):\n    kept = bytearray(5_000_000)\n"
        "with memdeep.phase('open'):\n"
        "    more = bytearray(7_000_000)\n    open('ready', 'w').close()\n"
        "    while not os.path.exists('go'): time.sleep(0.02)\n"
    )
    command = memdeep_command("run", "-q", "--no-report", "-o", "run", "-c", code)
    with subprocess.Popen(command, cwd=work, env=environment()) as process:
        try:
            wait_until((work / "ready").exists)
            before = {path: path.stat().st_mtime_ns for path in work.iterdir()}
            result = memdeep.load(work / "run")
            assert result.exit is not None
            assert result.exit.verdict == "running"
            assert repr(result).startswith("<Result of code: running, ")
            assert (result.phases["done"].growth or 0) >= 5_000_000
            assert {path: path.stat().st_mtime_ns for path in work.iterdir()} == before
        finally:
            (work / "go").touch()
            process.wait(20)
    assert (memdeep.load(work / "run").phases["open"].growth or 0) >= 7_000_000


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda out: (out / "meta.json").write_text('{"schema": 99}'),
            "another version of memdeep",
        ),
        (lambda out: (out / "meta.json").unlink(), "meta.json"),
        (lambda out: (out / "journal.jsonl").unlink(), "is not a run directory of memdeep"),
    ],
)
def test_what_is_no_run_is_one_clear_error(
    runs: Any, tmp_path: Path, change: Any, sentence: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for file in runs("bytes").iterdir():
        if file.is_file():
            (out / file.name).write_bytes(file.read_bytes())
    change(out)
    with pytest.raises(CaptureError, match=sentence) as caught:
        memdeep.load(out)
    assert caught.value.hint


def test_a_path_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    for path in (tmp_path / "gone", tmp_path, os.devnull):
        with pytest.raises(CaptureError):
            memdeep.load(path)


@pytest.mark.parametrize("is_on", [True, False])
def test_the_collector_of_the_caller_stays_as_it_is(runs: Any, is_on: bool) -> None:
    was_on, frozen = gc.isenabled(), gc.get_freeze_count()
    try:
        (gc.enable if is_on else gc.disable)()
        memdeep.load(runs("bytes")).stacks()
        assert gc.isenabled() == is_on
        assert gc.get_freeze_count() <= frozen  # some of the frozen ones may end meanwhile
    finally:
        (gc.enable if was_on else gc.disable)()


def test_several_threads_load_at_once(runs: Any) -> None:
    expected = {
        scene: repr(memdeep.load(runs(scene)).stacks("peak")) for scene in ("bytes", "threads")
    }
    found: list[tuple[str, str]] = []

    def load(scene: str) -> None:
        found.append((scene, repr(memdeep.load(runs(scene)).stacks("peak"))))

    threads = [threading.Thread(target=load, args=(scene,)) for scene in [*expected] * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert all(expected[scene] == text for scene, text in found)


def test_loading_costs_an_import_of_memdeep_nothing() -> None:
    code = "import sys, memdeep; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    loaded = set(done.stdout.split())
    assert not {"memdeep.results", "memdeep.pipeline", "json", "pandas", "pyarrow"} & loaded


def test_load_is_the_one_of_results() -> None:
    assert memdeep.load is importlib.import_module("memdeep.results").load
    assert json.dumps(sorted(memdeep.__all__)).count('"load"') == 1


def test_modules_of_a_program_behind_a_link_have_the_same_paths(
    run_memdeep: Any, tmp_path: Path
) -> None:
    """Python follows a link to the script for what it imports, and not for the script itself."""
    real = tmp_path / "real"
    real.mkdir()
    (real / "job.py").write_text("import rows\nkept = rows.read()\nmore = bytearray(9_000_000)\n")
    (real / "rows.py").write_text("def read():\n    return bytearray(19_000_000)\n")
    (tmp_path / "job").symlink_to(real)
    for place in ("real", "job"):
        run_memdeep("run", "-q", "-o", f"of-{place}", f"{place}/job.py")
        lines = memdeep.load(tmp_path / f"of-{place}").phases[0].lines("kept")
        assert [line.path for line in lines[:2]] == ["rows.py", "job.py"]

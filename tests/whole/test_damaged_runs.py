"""A run directory with something damaged, missing or foreign in it: what is left is reported."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running import (
    PROGRAMS,
    TIMEOUT_S,
    RunMemdeep,
    complaint,
    environment,
    memdeep_command,
    read_json,
    tree,
)
from sealing import hashes, unseal

from memdeep.cli import main
from memdeep.errors import EXIT_BAD_DATA, EXIT_NO_INPUT, EXIT_NOT_STARTED
from memdeep.heap import choice
from memdeep.heap.replay import engine as replaying
from memdeep.sources.lines import Sources
from memdeep.sources.store import encode

GROWS = PROGRAMS / "grows.py"
LABELS = ["(start)", "PREPARE_START", "PREPARE_END", *["repeat"] * 6, "finished", "(end)"]
REPORTS = {"report.html", "report.json"}


def record(directory: Path, *options: str) -> Path:
    """A run of `grows.py` without a report."""
    words = ("run", "--quiet", "--no-native", "--no-report", "-o", directory / "run", *options)
    subprocess.run(
        memdeep_command(*words, GROWS),
        env=environment(),
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=TIMEOUT_S,
    )
    return directory / "run"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("recorded"))


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("another"))


@pytest.fixture
def run_dir(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / "run"))


Reported = Callable[..., dict[str, Any]]


@pytest.fixture
def reported(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> Reported:
    """Makes the report of ``run_dir``; returns report.json, after a look at all that must hold."""

    def report() -> dict[str, Any]:
        before = hashes(run_dir)
        with pytest.raises(SystemExit) as ended:
            main.main(["report", str(run_dir)])
        text = capsys.readouterr().err
        assert ended.value.code == 0, text
        after = hashes(run_dir)
        assert {*after} == {*before} | REPORTS
        assert all(after[name] == before[name] for name in {*before} - REPORTS)
        made = read_json(run_dir / "report.json")
        page = (run_dir / "report.html").read_text("utf-8")
        shown = " ".join(text.split())
        for problem in made["problems"]:
            assert problem in page.replace("&#39;", "'")
            assert problem.split()[-1] in shown
        return dict(made)

    return report


@pytest.fixture(params=[choice.REPLAY, choice.MEMRAY])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which reader reads the captures of the test."""
    name = str(request.param)
    if name == choice.REPLAY and not replaying.is_built():
        pytest.skip("the replay is not built")
    monkeypatch.setenv(choice.VARIABLE, name)
    return name


def problems_of(made: dict[str, Any]) -> list[str]:
    """What is wrong with the run; that memray's reader was demanded is nothing of it."""
    return [problem for problem in made["problems"] if choice.VARIABLE not in problem]


def heap_of(made: dict[str, Any]) -> list[int | None]:
    return [point["heap_bytes"] for point in made["checkpoints"] if point["process"] == 0]


def without_the_heap(made: dict[str, Any]) -> str:
    """The one sentence on a heap that is wholly lost; checkpoints and RSS are all there."""
    assert [point["label"] for point in made["checkpoints"]] == LABELS
    assert all(point["rss_bytes"] for point in made["checkpoints"])
    assert (made["peak_heap_bytes"], made["findings"]) == (None, [])
    assert set(heap_of(made)) == {None}
    (problem,) = made["problems"]
    return str(problem)


# The capture


def test_a_sound_run_has_no_problems(engine: str, reported: Reported) -> None:
    made = reported()
    assert problems_of(made) == []
    assert None not in heap_of(made)


@pytest.mark.parametrize("length", [0, 5, 20, 100])
def test_a_capture_cut_off_in_its_header_costs_the_heap(
    run_dir: Path, reported: Reported, length: int
) -> None:
    os.truncate(run_dir / "capture.bin", length)
    assert "capture.bin" in without_the_heap(reported())


@pytest.mark.parametrize("version", [11, 99])
def test_a_capture_of_another_version_costs_the_heap(
    run_dir: Path, reported: Reported, version: int
) -> None:
    with open(run_dir / "capture.bin", "r+b") as file:
        file.seek(7)
        file.write(struct.pack("<i", version))
    assert f"capture version {version}" in without_the_heap(reported())


def test_a_missing_capture_costs_the_heap(run_dir: Path, reported: Reported) -> None:
    (run_dir / "capture.bin").unlink()
    assert "There is no file" in without_the_heap(reported())


@pytest.mark.parametrize("content", ["nonsense", "1\t2\t3\n", "-5\t1\n", "\xff", "9" * 5000])
def test_damaged_places_of_markers_cost_the_heap(
    run_dir: Path, reported: Reported, content: str
) -> None:
    (run_dir / "markers").write_bytes(content.encode("latin-1"))
    assert "markers is damaged" in without_the_heap(reported())


def test_a_capture_of_another_run_costs_the_heap(
    run_dir: Path, another: Path, reported: Reported
) -> None:
    shutil.copy(another / "capture.bin", run_dir)
    assert "another run" in without_the_heap(reported())


@pytest.mark.parametrize("part", [0.5, 0.7, 0.9])
@pytest.mark.parametrize("damage", ["cut", "zeros"])
def test_up_to_the_damage_the_heap_is_exact(
    engine: str, run_dir: Path, reported: Reported, damage: str, part: float
) -> None:
    capture = run_dir / "capture.bin"
    whole = capture.read_bytes().rstrip(b"\0")
    sound = heap_of(reported())
    at = int(len(whole) * part)
    sealed = capture.read_bytes()
    tail = b"" if damage == "cut" else bytes(200) + sealed[at + 200 :]
    capture.write_bytes(sealed[:at] + tail)
    made = reported()
    known = [heap for heap in heap_of(made) if heap is not None]
    assert 0 < len(known) < len(sound)
    assert known == sound[: len(known)]
    (problem,) = problems_of(made)
    assert "capture.bin is damaged" in problem
    assert "exact up to there" in problem


@pytest.mark.parametrize("after", [0, 1, 19, 20, 21, 39, 40])
def test_a_cut_within_a_marker_costs_that_checkpoint(
    engine: str, run_dir: Path, reported: Reported, after: int
) -> None:
    sound = heap_of(reported())
    fifth = (run_dir / "markers").read_text().splitlines()[4]
    os.truncate(run_dir / "capture.bin", int(fifth.split("\t")[0]) + after)
    known = [heap for heap in heap_of(reported()) if heap is not None]
    assert known in (sound[:5], sound[:6])
    assert known == sound[:5] or after == 40


def test_a_varint_of_a_gigabyte_costs_the_heap_at_most(
    engine: str, run_dir: Path, reported: Reported
) -> None:
    capture = run_dir / "capture.bin"
    content = bytearray(capture.read_bytes())
    place = len(content.rstrip(b"\0")) // 2
    content[place : place + 10] = b"\xff" * 9 + b"\x7f"
    capture.write_bytes(content)
    made = reported()
    assert [point["label"] for point in made["checkpoints"]] == LABELS


# The journal


def test_a_journal_of_another_run_is_told_from_the_rest(
    engine: str, run_dir: Path, another: Path, reported: Reported
) -> None:
    shutil.copy(another / "journal.jsonl", run_dir)
    made = reported()
    assert set(heap_of(made)) == {None}
    problems = " ".join(problems_of(made))
    for name in ("capture.bin", "samples", "meta.json"):
        assert name in problems


def test_what_stands_twice_counts_once(engine: str, run_dir: Path, reported: Reported) -> None:
    sound = heap_of(reported())
    path = run_dir / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    changed = lines[3].replace(b'"t":', b'"t":9')
    path.write_bytes(b"".join([*lines[:5], changed, lines[4], *lines[5:]]))
    made = reported()
    assert heap_of(made) == sound
    assert problems_of(made) == [
        "2 lines of the journal were left out: another line has the same number."
    ]


def test_lines_that_are_missing_are_counted(engine: str, run_dir: Path, reported: Reported) -> None:
    sound = heap_of(reported())
    path = run_dir / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], *lines[6:]]))
    made = reported()
    assert heap_of(made) == [*sound[:3], *sound[5:]]
    (problem,) = problems_of(made)
    assert problem.startswith("2 events were never written")


def test_a_block_of_zeros_in_the_journal_is_damage(run_dir: Path, reported: Reported) -> None:
    path = run_dir / "journal.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[:-150] + bytes(150))
    problems = " ".join(reported()["problems"])
    assert "1 damaged line of the journal was left out" in problems


@pytest.mark.parametrize("figure", ["9" * 18, "1e400", "NaN", '"text"', "-1", "[]", "{}"])
@pytest.mark.parametrize("key", ["n", "t", "rss", "s", "pid"])
def test_no_figure_of_the_journal_upsets_the_report(
    run_dir: Path, reported: Reported, key: str, figure: str
) -> None:
    path = run_dir / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    fields = json.loads(lines[5])
    fields.pop(key, None)
    lines[5] = f'{{"{key}":{figure},{json.dumps(fields)[1:]}\n'.encode()
    path.write_bytes(b"".join(lines))
    assert len(reported()["checkpoints"]) in (len(LABELS) - 1, len(LABELS))


# What the program read of its own memory


def test_damaged_readings_of_the_mappings_are_counted(run_dir: Path, reported: Reported) -> None:
    path = run_dir / "mappings"
    content = path.read_bytes()
    at = content.index(b"Anonymous:")
    path.write_bytes(content[:at] + b"X" + content[at + 1 :])
    assert content.count(b"\nR ") > 1  # all of one series, of which the first is damaged
    made = reported()
    assert None not in heap_of(made)
    assert made["problems"] == [
        "1 reading of the memory mappings is damaged and was left out, with those that refer to it."
    ]


def test_a_torn_last_reading_of_the_mappings_is_no_damage(
    run_dir: Path, reported: Reported
) -> None:
    path = run_dir / "mappings"
    os.truncate(path, path.stat().st_size - 5)
    assert reported()["problems"] == []


# What the parent saw


@pytest.mark.parametrize("damage", ["zeros", "cut"])
def test_damaged_source_lines_are_told(run_dir: Path, reported: Reported, damage: str) -> None:
    path = run_dir / "sources"
    lines = Sources({(str(GROWS), number): f"line {number}" for number in range(99)})
    content = encode(lines, read_json(run_dir / "meta.json")["started"])
    path.write_bytes(content)
    assert reported()["problems"] == []
    path.write_bytes(content[:-20] + (bytes(20) if damage == "zeros" else b""))
    (problem,) = reported()["problems"]
    assert problem.startswith(f"{path} is damaged. The source lines shown are read from")


def test_missing_samples_cost_the_rss_between_checkpoints(
    run_dir: Path, reported: Reported
) -> None:
    (run_dir / "samples").unlink()
    made = reported()
    assert None not in heap_of(made)
    (problem,) = made["problems"]
    assert "RSS is known at the checkpoints only" in problem


@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        (1, "1 line of the RSS samples is damaged and was left out."),
        (2, "2 lines of the RSS samples are damaged and were left out."),
        (0, None),
    ],
)
def test_damaged_samples_are_counted(
    run_dir: Path, reported: Reported, damaged: int, said: str | None
) -> None:
    path = run_dir / "samples"
    title, *lines = path.read_bytes().splitlines(keepends=True)
    torn = lines[-1][:-2]
    path.write_bytes(b"".join([title, *[b"\xff" + lines[0]] * damaged, *lines, torn]))
    made = reported()
    assert None not in heap_of(made)
    assert made["problems"] == ([] if said is None else [said])


def test_samples_of_another_run_are_left_out(
    run_dir: Path, another: Path, reported: Reported
) -> None:
    shutil.copy(another / "samples", run_dir)
    (problem,) = reported()["problems"]
    assert "samples is of another run" in problem


def test_facts_of_another_run_are_said_to_be(
    run_dir: Path, another: Path, reported: Reported
) -> None:
    shutil.copy(another / "meta.json", run_dir)
    made = reported()
    assert None not in heap_of(made)
    (problem,) = made["problems"]
    assert "meta.json is of another run" in problem


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("duration_s", float("nan")),
        ("duration_s", float("inf")),
        ("duration_s", 10**15),
        ("spawned_ns", 10**4000),
        ("started", "0001-01-01T00:00:00"),
        ("processes", [{"pid": "x", "parent_pid": None, "command": 1, "peak_rss_bytes": None}]),
    ],
)
def test_facts_that_cannot_be_are_damage(
    run_dir: Path, run_memdeep: RunMemdeep, field: str, value: object
) -> None:
    meta = run_dir / "meta.json"
    meta.write_text(json.dumps(read_json(meta) | {field: value}))
    completed = run_memdeep("report", run_dir)
    assert completed.returncode == EXIT_BAD_DATA
    sentence, _ = complaint(completed)
    assert "meta.json is damaged" in sentence


# What is no file of a run at all


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def kernel(path: Path) -> None:
    path.symlink_to("/proc/self/maps")


def loop(path: Path) -> None:
    path.symlink_to(path)


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize("put", [pipe, endless, kernel, loop, sparse])
@pytest.mark.parametrize(
    "name",
    ["capture.bin", "samples", "markers", "journal.jsonl", "symbols", "sources", "stacks.txt"],
)
def test_only_regular_files_are_read(
    run_dir: Path, run_memdeep: RunMemdeep, name: str, put: Callable[[Path], None]
) -> None:
    (run_dir / name).unlink(missing_ok=True)
    put(run_dir / name)
    completed = run_memdeep("report", run_dir)
    assert b"Traceback" not in completed.stderr
    if name == "journal.jsonl":
        assert completed.returncode in (EXIT_NO_INPUT, EXIT_BAD_DATA)
        complaint(completed)
        return
    assert completed.returncode == 0
    is_empty = (put is kernel and name != "capture.bin") or (put, name) == (loop, "markers")
    is_empty = is_empty or (put, name) == (sparse, "stacks.txt")
    is_needless = name == "symbols"  # of a run without native frames
    assert is_empty or is_needless or read_json(run_dir / "report.json")["problems"]


@pytest.mark.parametrize("put", [pipe, endless, kernel, sparse])
def test_only_regular_files_are_captures(
    tmp_path: Path, run_memdeep: RunMemdeep, put: Callable[[Path], None]
) -> None:
    put(tmp_path / "x.bin")
    completed = run_memdeep("report", "x.bin")
    assert completed.returncode in (EXIT_BAD_DATA, EXIT_NO_INPUT)
    complaint(completed)


def test_reports_replace_links_and_do_not_follow_them(run_dir: Path, reported: Reported) -> None:
    outside = run_dir.parent / "outside"
    outside.write_text("kept")
    for name in REPORTS:
        (run_dir / name).symlink_to(outside)
    reported()
    assert outside.read_text() == "kept"
    assert not any((run_dir / name).is_symlink() for name in REPORTS)


def test_a_link_to_a_capture_is_read_and_not_written_through(
    engine: str, run_dir: Path, reported: Reported
) -> None:
    unseal(run_dir)
    outside = (run_dir / "capture.bin").rename(run_dir.parent / "outside.bin")
    (run_dir / "capture.bin").symlink_to(outside)
    content = outside.read_bytes()
    made = reported()
    assert problems_of(made) == []
    assert None not in heap_of(made)
    assert outside.read_bytes() == content
    assert not (run_dir / "markers").exists()


# Whose the directory is

WITHOUT_ROOTS_RIGHTS = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


def bound_by_permissions(*words: object, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    """Run memdeep as somebody whom permissions stop, even where the tests run as root."""
    command = memdeep_command(*words)
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may do everything, and there is no setpriv")
        command = [*WITHOUT_ROOTS_RIGHTS, *command]
    return subprocess.run(
        command, cwd=cwd, env=environment(), capture_output=True, timeout=TIMEOUT_S, check=False
    )


@pytest.fixture
def locked(run_dir: Path) -> Any:
    """Makes ``run_dir`` read-only until the test is over."""
    for path in run_dir.iterdir():
        path.chmod(0o400)
    run_dir.chmod(0o500)
    yield run_dir
    run_dir.chmod(0o700)


def test_the_report_on_a_directory_that_is_read_only_goes_where_it_is_told(
    locked: Path, tmp_path: Path
) -> None:
    before = tree(locked)
    refused = bound_by_permissions("report", locked, cwd=tmp_path)
    assert refused.returncode == EXIT_NOT_STARTED
    sentence, hint = complaint(refused)
    assert "Cannot write" in sentence
    assert "you may write to" in hint
    completed = bound_by_permissions("report", "--quiet", locked, "-o", "out", cwd=tmp_path)
    assert (completed.returncode, completed.stderr) == (0, b"")
    assert tree(locked) == before
    made = read_json(tmp_path / "out" / "report.json")
    assert None not in heap_of(made)
    assert made["problems"] == []


def test_a_directory_that_may_not_be_read_says_whose_it_is(run_dir: Path, tmp_path: Path) -> None:
    run_dir.chmod(0)
    try:
        completed = bound_by_permissions("report", run_dir, cwd=tmp_path)
    finally:
        run_dir.chmod(0o700)
    assert completed.returncode == EXIT_NO_INPUT
    sentence, hint = complaint(completed)
    assert "permission denied" in sentence
    assert f"{run_dir} belongs to {run_dir.owner()}." in hint


def test_output_by_a_path_that_climbs_is_where_it_says_and_nowhere_else(
    run_dir: Path, tmp_path: Path, run_memdeep: RunMemdeep
) -> None:
    before = tree(tmp_path)
    completed = run_memdeep("report", "--quiet", run_dir, "-o", run_dir / ".." / "beside" / ".")
    assert completed.returncode == 0
    new = set(tree(tmp_path)) - set(before)
    assert new == {"beside", "beside/report.html", "beside/report.json"}


# Programs that try to be shown as something else

HOSTILE = (
    "\x1b]0;owned\x07\x1b[2J\x9b31m",
    "\u202eexe.yp\u202c \u2066x\u2069 \u200f\u061c",
    "</script><script>alert(1)</script>",
    "[bold red]not markup[/]",
    "line\nbreak\r\u2028\u0085",
    "zero\u200b\ufeff\u00ad width",
)


def test_hostile_labels_stay_text_on_the_terminal(tmp_path: Path, run_memdeep: RunMemdeep) -> None:
    code = "import memdeep\nkept = []\nfor label in " + ascii(HOSTILE) + ":\n"
    code += "    memdeep.checkpoint(label, note=label)\n    kept.append(bytearray(3_000_000))\n"
    (tmp_path / "hostile.py").write_text(code)
    completed = run_memdeep("run", "--no-native", "-o", "run", "hostile.py")
    assert completed.returncode == 0
    shown = completed.stderr.decode()
    assert all(character.isprintable() or character == "\n" for character in shown), ascii(shown)
    assert "not markup" in shown
    for words in (("watch", "run"), ("report", "run")):
        again = run_memdeep(*words)
        text = (again.stdout + again.stderr).decode()
        assert all(character.isprintable() or character == "\n" for character in text), ascii(text)


def test_the_parts_of_a_run_that_is_not_memrays_are_guarded_too(
    tmp_path: Path, run_memdeep: RunMemdeep
) -> None:
    directory = record(tmp_path, "--backend", "tracemalloc")
    path = directory / "snapshots.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b'{"n":4,"peak":-1}\n', b"\0" * 99 + b"\n", *lines[4:]]))
    assert run_memdeep("report", "--quiet", directory).returncode == 0
    (problem,) = read_json(directory / "report.json")["problems"]
    assert "2 of its lines cannot be read" in problem
    path.unlink()
    assert run_memdeep("report", "--quiet", directory).returncode == 0
    (problem,) = read_json(directory / "report.json")["problems"]
    assert "snapshots.jsonl" in problem


def test_a_frame_in_a_pipe_or_a_device_has_no_source(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    code = f"""
import memdeep
from memdeep.sources.lines import read_sources
from memdeep.model import Frame, Origin
names = [{str(tmp_path / "pipe.py")!r}, "/dev/zero", "/proc/self/maps", "x\\0y", "/", "n" * 9999]
frames = [Frame("f", name, 1, Origin.USER) for name in names]
assert read_sources(frames, None).lines == {{}}
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=TIMEOUT_S)


# The processes that the program started


@pytest.fixture(scope="module")
def with_children(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a fork, its child, and two programs, the last of which outlives the run."""
    work = tmp_path_factory.mktemp("children")
    (work / "go").touch()
    options = ("--quiet", "--no-native", "--no-report", "-o", work / "run")
    subprocess.run(
        memdeep_command("run", *options, PROGRAMS / "has_children.py", "word", work / "go"),
        env=environment(),
        check=True,
        timeout=TIMEOUT_S,
    )
    assert len(children_of(work / "run")) == 4
    return work / "run"


def children_of(run_dir: Path) -> list[Path]:
    """The directories of the processes in the order of their births."""
    lines = map(json.loads, (run_dir / "births.jsonl").read_bytes().splitlines())
    return [run_dir / "children" / line["dir"] for line in lines if line["k"] == "born"]


@pytest.fixture
def family(with_children: Path, run_dir: Path) -> list[Path]:
    """The directories of the processes of the run that ``reported`` reports on."""
    shutil.rmtree(run_dir)
    shutil.copytree(with_children, run_dir)
    return children_of(run_dir)


def known_heaps(made: dict[str, Any]) -> list[int]:
    """The places of the processes whose heap is known."""
    heaps = [process["peak_heap_bytes"] for process in made["processes"]]
    return [place for place, heap in enumerate(heaps) if heap is not None]


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def test_a_sound_run_of_processes_has_no_problems(
    engine: str, family: list[Path], reported: Reported
) -> None:
    made = reported()
    assert problems_of(made) == []
    assert known_heaps(made) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("change", "known", "sentences"),
    [
        (lambda b: b"", [0], ["does not tell the birth of 4"]),
        (lambda b: b[: b.index(b"subprocess.py")], [0, 1, 2], ["does not tell the birth of 2"]),
        (lambda b: b + b, [0, 1, 2, 3, 4], ["4 lines on the births"]),
        (lambda b: b"[]\n" + b + b'{"k":"x"}\n', [0, 1, 2, 3, 4], ["2 lines on the births"]),
        (lambda b: b + b"[" * 50_000 + b"\n", [0, 1, 2, 3, 4], ["1 line on the births"]),
        (
            lambda b: b"".join(reversed(b.splitlines(keepends=True))),
            [0, 1, 2, 3, 4],
            [],
        ),
        (lambda b: b + b"{}\n" * 600_000, [0, 1, 2, 3, 4], ["lines on the births"]),
    ],
    ids=["empty", "torn", "twice", "foreign", "deep", "reversed", "huge"],
)
def test_damaged_births_cost_what_they_would_tell(
    run_dir: Path,
    family: list[Path],
    reported: Reported,
    change: Callable[[bytes], bytes],
    known: list[int],
    sentences: list[str],
) -> None:
    rewrite(run_dir / "births.jsonl", change)
    made = reported()
    assert known_heaps(made) == known
    assert len(made["processes"]) >= len(known)
    for problem, sentence in zip(made["problems"], sentences, strict=True):
        assert sentence in problem


@pytest.mark.parametrize("put", [None, pipe, endless, loop, sparse, Path.mkdir])
def test_without_births_no_process_is_lost(
    run_dir: Path,
    family: list[Path],
    reported: Reported,
    put: Callable[[Path], None] | None,
) -> None:
    (run_dir / "births.jsonl").unlink()
    if put is not None:
        put(run_dir / "births.jsonl")
    made = reported()
    seen = read_json(run_dir / "meta.json")["processes"]  # what was too short-lived is not
    assert len(made["processes"]) == len(seen) > 1
    assert known_heaps(made) == [0]
    *others, lost = made["problems"]
    assert "does not tell the birth of 4" in lost
    assert len(others) == (put is not None)


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def torn(path: Path) -> None:
    os.truncate(path, 3000)


def holed(path: Path) -> None:
    rewrite(path, lambda content: content[:3000] + bytes(300) + content[3300:])


def nonsense(path: Path) -> None:
    path.write_bytes(b"nonsense" * 1000)


def gone(path: Path) -> None:
    path.unlink()


def of_another_process(path: Path) -> None:
    other = next(one for one in path.parent.parent.glob("*/capture.bin") if one != path)
    shutil.copy(other, path)


def of_another_time(path: Path) -> None:
    """The header has the time since the epoch, in milliseconds, early on."""
    content = path.read_bytes()
    for place in range(8, 100):
        (time_ms,) = struct.unpack_from("<q", content, place)
        if 1_500_000_000_000 < time_ms < 3_000_000_000_000:
            path.write_bytes(
                content[:place] + struct.pack("<q", time_ms - 10**9) + content[place + 8 :]
            )
            return
    raise AssertionError("no time in the header")


@pytest.mark.parametrize(
    "put",
    [nothing, torn, holed, nonsense, gone, of_another_process, of_another_time],
)
def test_a_damaged_capture_of_a_process_costs_its_heap(
    engine: str,
    family: list[Path],
    reported: Reported,
    put: Callable[[Path], None],
) -> None:
    sound = reported()
    put(family[0] / "capture.bin")
    made = reported()
    (problem,) = problems_of(made)
    assert f"The heap of process {family[0].name} is not known." in problem
    assert known_heaps(made) == [0, 2, 3, 4]
    assert made["heap_bytes" if "heap_bytes" in made else "peak_heap_bytes"] is not None
    for place in (0, 2, 3):
        was, now = (one["processes"][place]["peak_heap_bytes"] for one in (sound, made))
        assert was == now


@pytest.mark.parametrize("put", [pipe, endless, loop, sparse])
def test_only_a_regular_file_is_the_capture_of_a_process(
    family: list[Path], reported: Reported, put: Callable[[Path], None]
) -> None:
    (family[1] / "capture.bin").unlink()
    put(family[1] / "capture.bin")
    made = reported()
    assert known_heaps(made) == [0, 1, 3, 4]
    (problem,) = made["problems"]
    assert f"The heap of process {family[1].name} is not known." in problem


@pytest.mark.parametrize("content", [None, b"", b"\xff\n[]\n"])
def test_the_clock_of_the_run_serves_a_process_without_a_journal(
    engine: str, family: list[Path], reported: Reported, content: bytes | None
) -> None:
    sound = reported()
    (family[0] / "journal.jsonl").unlink()
    if content is not None:
        (family[0] / "journal.jsonl").write_bytes(content)
    made = reported()
    assert problems_of(made) == []
    assert heap_of(made) == heap_of(sound)


def test_the_journal_of_another_process_is_not_used(
    run_dir: Path, family: list[Path], reported: Reported
) -> None:
    sound = reported()
    shutil.copy(run_dir / "journal.jsonl", family[0])
    assert heap_of(reported()) == heap_of(sound)


def test_where_the_directories_are_gone_it_is_said_of_each(
    run_dir: Path, family: list[Path], reported: Reported
) -> None:
    shutil.rmtree(run_dir / "children")
    made = reported()
    assert known_heaps(made) == [0]
    assert len(made["problems"]) == 4
    (run_dir / "children").write_text("a file")
    assert len(reported()["problems"]) == 4
    (run_dir / "children").unlink()
    (run_dir / "children").symlink_to("children")
    assert len(reported()["problems"]) == 4


def test_thousands_of_directories_that_nobody_knows(
    run_dir: Path, family: list[Path], reported: Reported
) -> None:
    for number in range(10_000):
        (run_dir / "children" / f"1000-{number}").mkdir()
    made = reported()
    (problem,) = made["problems"]
    assert "does not tell the birth of 10,000" in problem
    assert known_heaps(made) == [0, 1, 2, 3, 4]


def test_the_run_of_a_process_needs_what_the_parent_saw(
    family: list[Path], run_memdeep: RunMemdeep
) -> None:
    (family[0] / "meta.json").unlink()
    completed = run_memdeep("report", family[0])
    assert completed.returncode == EXIT_NO_INPUT
    complaint(completed)


def test_where_memdeep_was_killed_the_processes_are_told_all_the_same(
    run_dir: Path, family: list[Path], reported: Reported
) -> None:
    """What it writes at the end is not there: the births and the samples are."""
    meta = read_json(run_dir / "meta.json")
    unknown = {"duration_s": None, "verdict": None, "exit_code": None, "processes": []}
    (run_dir / "meta.json").write_text(json.dumps(meta | unknown))
    made = reported()
    assert made["problems"] == []
    assert [one["how"] for one in made["processes"]] == ["run", *["fork"] * 2, *["subprocess"] * 2]
    assert known_heaps(made) == [0, 1, 2, 3, 4]
    assert [one["exit"] for one in made["processes"][1:4]] == [0, 5, 0]

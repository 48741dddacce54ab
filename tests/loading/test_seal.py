"""Loading changes nothing; sealing changes captures so that nothing of the report changes."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from memray import FileReader
from running import PROGRAMS, RunMemdeep, environment, memdeep_command, read_json, wait_until
from sealing import hashes, original, unseal

from memdeep.heap import choice, native_names
from memdeep.heap.markers import FIRST_FLAG, SECOND_FLAG, is_flagged
from memdeep.heap.replay import engine as replaying
from memdeep.loading.seal import seal
from memdeep.rundir import marker
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import write_atomically

OnStep = Callable[[str], None]
REPORTS = {"report.html", "report.json"}
FOCUS = """\
import memdeep
kept = []
for number in range(3):
    with memdeep.phase(f"part {number}"):
        kept.append(bytearray(1_000_000 * (number + 1)))
        memdeep.checkpoint("inside")
"""
KILLED = """\
import os, signal, memdeep
kept = []
for number in range(5):
    memdeep.checkpoint(f"step {number}")
    kept.append(bytearray(700_000))
os.kill(os.getpid(), signal.SIGKILL)
"""
RUNS: dict[str, tuple[str, tuple[str, ...]]] = {
    "whole": ((PROGRAMS / "known_bytes.py").read_text(), ()),
    "native": ((PROGRAMS / "known_bytes.py").read_text(), ("--native",)),
    "killed": (KILLED, ()),
    "focus": (FOCUS, ("--focus", "part *")),
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Each run of ``RUNS``, recorded once, with `--no-report`."""
    made: dict[str, Path] = {}

    def run(name: str) -> Path:
        if name not in made:
            directory = tmp_path_factory.mktemp(name)
            program, options = RUNS[name]
            (directory / "program.py").write_text(program)
            words = ["run", "--quiet", "--no-report", "--no-native", *options, "-o", "run"]
            subprocess.run(
                memdeep_command(*words, "program.py"),
                cwd=directory,
                env=environment(),
                capture_output=True,
                check=False,
            )
            made[name] = directory / "run"
        return made[name]

    return run


@pytest.fixture(params=list(RUNS))
def sealed(request: pytest.FixtureRequest, recorded: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of a run that was sealed when it ended."""
    return Path(shutil.copytree(recorded(request.param), tmp_path / "run"))


@pytest.fixture
def unsealed(sealed: Path) -> Path:
    counts = unseal(sealed)
    assert all(counts), "a capture was not sealed at the end of its run"
    return sealed


@pytest.fixture(params=[choice.REPLAY, choice.MEMRAY])
def engine(request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment that demands a reader."""
    if request.param == choice.REPLAY and not replaying.is_built():
        pytest.skip("the replay is not built")
    return environment(**{choice.VARIABLE: request.param})


def report(run_memdeep: RunMemdeep, run_dir: Path, env: dict[str, str]) -> object:
    """The content of report.json, made elsewhere."""
    done = run_memdeep("report", "--quiet", run_dir, "-o", "elsewhere", env=env)
    assert (done.returncode, done.stderr) == (0, b"")
    return read_json(run_dir.parent / "elsewhere" / "report.json")


@pytest.mark.parametrize("is_sealed", [True, False], ids=["sealed", "unsealed"])
def test_a_report_changes_nothing_of_the_run(
    run_memdeep: RunMemdeep, sealed: Path, engine: dict[str, str], is_sealed: bool
) -> None:
    if not is_sealed:
        unseal(sealed)
    before = hashes(sealed)
    report(run_memdeep, sealed, engine)
    assert hashes(sealed) == before
    assert run_memdeep("report", "--quiet", sealed, env=engine).returncode == 0
    after = hashes(sealed)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == REPORTS


def test_the_report_is_the_same_before_and_after(
    run_memdeep: RunMemdeep, unsealed: Path, engine: dict[str, str]
) -> None:
    before = report(run_memdeep, unsealed, engine)
    captures = [path.read_bytes() for path in RunDirectory(unsealed).captures()]
    seal(RunDirectory(unsealed), lambda step: None)
    assert report(run_memdeep, unsealed, engine) == before
    for capture, content in zip(RunDirectory(unsealed).captures(), captures, strict=True):
        assert capture.read_bytes() != content
        assert capture.stat().st_size == len(content)


def test_sealing_again_changes_nothing(unsealed: Path) -> None:
    seal(RunDirectory(unsealed), lambda step: None)
    once = hashes(unsealed)
    seal(RunDirectory(unsealed), lambda step: None)
    assert hashes(unsealed) == once


def test_memray_finds_every_checkpoint_of_a_sealed_capture(sealed: Path) -> None:
    run_dir = RunDirectory(sealed)
    for number, capture in enumerate(run_dir.captures(), 1):
        with FileReader(capture, max_memory_records=2**31 - 1) as reader:
            readings = [one.rss for one in reader.get_memory_snapshots()]
        listed = marker.decode_places(run_dir.markers(number).read_bytes())
        content = capture.read_bytes()
        replaced = [place for place, seq in listed if content[place : place + 40] != original(seq)]
        firsts = sum(is_flagged(rss, FIRST_FLAG) for rss in readings)
        seconds = sum(is_flagged(rss, SECOND_FLAG) for rss in readings)
        assert replaced
        # memray has no memory record after the last allocation.
        assert len(replaced) - firsts in (0, 1)
        assert firsts - seconds in (0, 1)


@pytest.mark.parametrize("share", [0.3, 0.9])
@pytest.mark.parametrize("within", [1, 20, 39])
def test_half_a_seal_is_read_as_if_it_were_whole(
    run_memdeep: RunMemdeep,
    recorded: Callable[[str], Path],
    tmp_path: Path,
    engine: dict[str, str],
    share: float,
    within: int,
) -> None:
    """Stopped within a marker: what comes before is replaced, what follows is not."""
    run_dir = Path(shutil.copytree(recorded("whole"), tmp_path / "run"))
    whole = report(run_memdeep, run_dir, engine)
    sealed = (run_dir / "capture.bin").read_bytes()
    places = (run_dir / "markers").read_bytes()
    unseal(run_dir)
    (run_dir / "markers").write_bytes(places)
    listed = marker.decode_places(places)
    end = listed[int(len(listed) * share)][0] + within
    content = (run_dir / "capture.bin").read_bytes()
    (run_dir / "capture.bin").write_bytes(sealed[:end] + content[end:])
    before = hashes(run_dir)
    assert report(run_memdeep, run_dir, engine) == whole
    assert hashes(run_dir) == before
    seal(RunDirectory(run_dir), lambda step: None)
    assert (run_dir / "capture.bin").read_bytes() == sealed


@pytest.mark.parametrize("after", [0, 1, 19, 20, 39, 40, 41])
def test_a_capture_cut_within_a_marker_is_read_alike(
    run_memdeep: RunMemdeep,
    recorded: Callable[[str], Path],
    tmp_path: Path,
    engine: dict[str, str],
    after: int,
) -> None:
    run_dir = Path(shutil.copytree(recorded("killed"), tmp_path / "run"))
    unseal(run_dir)
    content = (run_dir / "capture.bin").read_bytes()
    fourth = content.index(original(5))
    (run_dir / "capture.bin").write_bytes(content[: fourth + after] + bytes(4096))
    unsealed = report(run_memdeep, run_dir, engine)
    seal(RunDirectory(run_dir), lambda step: None)
    assert report(run_memdeep, run_dir, engine) == unsealed


def test_a_run_whose_memdeep_was_killed_has_its_report(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    """Nobody seals it, and nobody needs to."""
    code = KILLED.replace("os.getpid()", "os.getppid()").replace(
        "signal.SIGKILL)", "signal.SIGKILL); os._exit(1)"
    )
    (tmp_path / "program.py").write_text(code)
    killed = run_memdeep("run", "--quiet", "--no-native", "-o", "run", "program.py")
    assert killed.returncode < 0
    run_dir = tmp_path / "run"
    assert not (run_dir / "markers").exists()
    before = hashes(run_dir)
    assert run_memdeep("report", "--quiet", run_dir).returncode == 0
    after = hashes(run_dir)
    assert set(after) - set(before) == REPORTS
    assert {name: after[name] for name in before} == before
    points = read_json(run_dir / "report.json")["checkpoints"]
    heaps = [point["heap_bytes"] for point in points[1:-1]]
    assert [point["label"] for point in points[1:-1]] == [f"step {n}" for n in range(5)]
    grown = [later - earlier for earlier, later in zip(heaps, heaps[1:], strict=False)]
    assert min(grown) >= 700_000, grown


@pytest.mark.parametrize("make_link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_nothing_is_written_through_a_link(
    unsealed: Path, make_link: Callable[[Path, Path], None]
) -> None:
    outside = (unsealed / "capture.bin").rename(unsealed.parent / "outside.bin")
    make_link(outside, unsealed / "capture.bin")
    content = outside.read_bytes()
    seal(RunDirectory(unsealed), lambda step: None)
    assert outside.read_bytes() == content
    assert not (unsealed / "markers").exists()


def test_what_cannot_be_changed_stays_as_it_is(
    recorded: Callable[[str], Path], tmp_path: Path
) -> None:
    run_dir = Path(shutil.copytree(recorded("whole"), tmp_path / "run"))
    unseal(run_dir)
    before = hashes(run_dir)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limit[1]))  # every write fails, as on a full disk
    try:
        seal(RunDirectory(run_dir), lambda step: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert hashes(run_dir) == before


@pytest.mark.parametrize("name", ["meta.json", "journal.jsonl", "capture.bin", "markers"])
@pytest.mark.parametrize("content", [b"", b"nonsense\n", bytes(100)])
def test_what_cannot_be_read_is_no_error(
    recorded: Callable[[str], Path], tmp_path: Path, name: str, content: bytes
) -> None:
    run_dir = Path(shutil.copytree(recorded("whole"), tmp_path / "run"))
    places = (run_dir / "markers").read_bytes()
    unseal(run_dir)
    (run_dir / "markers").write_bytes(places)
    (run_dir / name).write_bytes(content)
    seal(RunDirectory(run_dir), lambda step: None)
    assert (run_dir / name).read_bytes() in (content, places)


@pytest.fixture
def with_names(recorded: Callable[[str], Path], tmp_path: Path) -> RunDirectory:
    """A copy of a run with native stacks, whose names are not stored."""
    if not (replaying.is_built() and native_names.is_installed()):
        pytest.skip("nothing names native frames here")
    run_dir = RunDirectory(Path(shutil.copytree(recorded("native"), tmp_path / "run")))
    run_dir.symbols.unlink()
    return run_dir


def _meanwhile() -> None:
    """What is done beside the names."""


def test_the_names_are_the_same_whoever_stores_them(with_names: RunDirectory) -> None:
    seal(with_names, lambda step: None)
    here = with_names.symbols.read_bytes()
    with_names.symbols.unlink()
    done: list[bool] = []
    seal(with_names, lambda step: None, lambda: done.append(with_names.symbols.exists()))
    assert len(done) == 1
    assert with_names.symbols.read_bytes() == here


@pytest.mark.skipif(sys.platform != "linux", reason="only there it is done aside")
@pytest.mark.parametrize("fails", ["fork", "work", "kill"])
def test_names_that_cannot_be_stored_aside_are_stored_here(
    with_names: RunDirectory, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    here, plain = os.getpid(), native_names.store_names

    def refuse() -> int:
        raise BlockingIOError(errno.EAGAIN, "no more processes")

    def store(run_dir: RunDirectory, on_step: OnStep, directories: Sequence[str] = ()) -> None:
        if os.getpid() != here and fails == "work":
            raise MemoryError
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        plain(run_dir, on_step, directories)

    if fails == "fork":
        monkeypatch.setattr(os, "fork", refuse)
    else:
        monkeypatch.setattr(native_names, "store_names", store)
    seal(with_names, lambda step: None, _meanwhile)
    assert with_names.symbols.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only there it is done aside")
def test_an_interrupt_takes_away_who_stores_the_names(
    with_names: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def store(run_dir: RunDirectory, _on_step: OnStep, directories: Sequence[str] = ()) -> None:
        def content() -> Iterator[bytes]:
            yield b"half"
            time.sleep(60)

        write_atomically(run_dir.symbols, content())

    def interrupted() -> None:
        wait_until(lambda: any(one.suffix == ".tmp" for one in with_names.path.iterdir()))
        raise KeyboardInterrupt

    monkeypatch.setattr(native_names, "store_names", store)
    before = {one.name for one in with_names.path.iterdir()}
    with pytest.raises(KeyboardInterrupt):
        seal(with_names, lambda step: None, interrupted)
    assert {one.name for one in with_names.path.iterdir()} == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)

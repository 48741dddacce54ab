"""Snapshots are taken where they are asked for or worth it, and skipped where they may do harm."""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import environment

from memdeep.cli.options import Place
from memdeep.cli.run import run_options
from memdeep.cli.settings import Config, merge
from memdeep.errors import ProgramError
from memdeep.record.how import HowToRecord
from memdeep.rundir import graph, journal
from memdeep.rundir.directory import RunDirectory

pytest.importorskip("memdeep.record._holders")
holders = pytest.importorskip("memdeep.record.holders")
MIB = 1 << 20


@pytest.fixture(autouse=True)
def give_back() -> Iterator[None]:
    """Leave `gc.disable` to other tests as it was."""
    yield
    while holders._release:
        holders._release.pop()()


CODE = """
import sys
import memdeep

with memdeep.phase("small"):
    kept = [0]
with memdeep.phase("large"):
    kept = [bytes(1000) for _ in range(40_000)]
memdeep.checkpoint("later")
print("memdeep.record.holders" in sys.modules)
"""


def recorded(tmp_path: Path, *options: str) -> tuple[list[str], str]:
    """Return the labels of the checkpoints with a graph, and what the program wrote."""
    (tmp_path / "job.py").write_text(CODE)
    command = [sys.executable, "-m", "memdeep", "run", "--quiet", "--no-native", "-o", "run"]
    done = subprocess.run(
        [*command, *options, "job.py"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run_dir = RunDirectory(tmp_path / "run")
    events, _ = journal.decode(run_dir.journal.read_bytes())
    found = {graph.read(path).sequence for path in run_dir.graphs()}
    return [event.label for event in events if event.sequence in found], done.stdout


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ((), []),
        (("--holders",), ["large"]),
        (("--holders-at", "la*"), ["large", "later"]),
        (("--holders-at", "small", "--holders-at", "later"), ["small", "later"]),
        (("--holders-at", "*", "--holders-most", "0"), []),
        (("--holders-at", "*", "--holders-most", "1"), ["small"]),
    ],
    ids=str,
)
def test_a_graph_is_recorded_where_it_is_asked_for(
    tmp_path: Path, options: tuple[str, ...], labels: list[str]
) -> None:
    found, output = recorded(tmp_path, *options)
    waits = [label for label in labels if label in found]  # one may be on when the next is due
    assert waits[:1] == labels[:1]
    assert set(found) <= set(labels)
    is_wanted = bool(options) and options[-1] != "0"
    assert output == f"{is_wanted}\n"  # nothing of it is imported otherwise


def reader(tmp_path: Path, **options: object) -> holders.HolderReader:
    values = merge({"holders": True, **options}, Config()).of(Place.PROGRAM)
    return holders.HolderReader(HowToRecord(**values, run_dir=str(tmp_path)))


def test_growth_by_a_quarter_is_worth_a_look(tmp_path: Path) -> None:
    read = reader(tmp_path)
    for sequence, size in enumerate([100, 110, 124, 126, 150, 160]):
        assert read(sequence, "point", size * MIB) is None
        graph.wait(RunDirectory(tmp_path))
    assert [path.name for path in RunDirectory(tmp_path).graphs()] == ["holders-3", "holders-5"]


def test_a_phase_that_grew_by_a_tenth_is_worth_a_look(tmp_path: Path) -> None:
    read = reader(tmp_path)
    read(1, "first", 400 * MIB)
    read.begin(1, 400 * MIB)
    read.begin(2, 401 * MIB)
    read(2, "inner", 420 * MIB, 2)
    read(3, "outer", 445 * MIB, 1)
    graph.wait(RunDirectory(tmp_path))
    assert [path.name for path in RunDirectory(tmp_path).graphs()] == ["holders-3"]


def test_near_a_limit_the_look_is_skipped_with_a_word(tmp_path: Path) -> None:
    read = reader(tmp_path, holders_at=["point"])
    (tmp_path / "limit").write_text(f"{500 * MIB}\n")
    (tmp_path / "usage").write_text(f"{495 * MIB}\n")
    read._limits = [(str(tmp_path / "limit"), str(tmp_path / "usage"))]
    said = read(1, "point", 100 * MIB)
    assert said is not None
    assert said.startswith("who holds the objects at point is not known: to look takes about ")
    assert said.endswith("and 5 MiB are free")
    assert RunDirectory(tmp_path).graphs() == ()


def test_only_some_looks_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holders, "MOST_AT_ONCE", 2)
    read = reader(tmp_path, holders_at=["*"])
    assert read(1, "first", 100 * MIB) is None
    assert read(2, "second", 100 * MIB) is None
    said = read(3, "third", 100 * MIB)
    assert said == "who holds the objects at third is not known: the looks before it were still on"
    graph.wait(RunDirectory(tmp_path))
    assert read(4, "fourth", 100 * MIB) is None
    graph.wait(RunDirectory(tmp_path))
    assert [path.name for path in RunDirectory(tmp_path).graphs()] == [
        "holders-1",
        "holders-2",
        "holders-4",
    ]


def test_what_earlier_looks_may_take_yet_is_not_free(tmp_path: Path) -> None:
    read = reader(tmp_path, holders_at=["*"])
    (tmp_path / "limit").write_text(f"{4000 * MIB}\n")
    (tmp_path / "usage").write_text("0\n")
    read._limits = [(str(tmp_path / "limit"), str(tmp_path / "usage"))]
    assert read(1, "first", 100 * MIB) is None
    ((_, taken),) = read._running
    (tmp_path / "limit").write_text(f"{taken + (1 << 20)}\n")
    said = read(2, "second", 100 * MIB)
    assert said is not None
    assert said.endswith("and 1 MiB are free")
    graph.wait(RunDirectory(tmp_path))


def test_where_the_collector_is_turned_off_is_known_until_the_end(tmp_path: Path) -> None:
    plain = gc.disable
    read = reader(tmp_path)
    line = sys._getframe().f_lineno + 1
    gc.disable()
    gc.enable()
    assert holders.GC_OFF_AT[0].decode() == f"{__file__}:{line}"
    read.close()
    assert gc.disable is plain


def test_spans_of_two_threads_are_held_apart(tmp_path: Path) -> None:
    read = reader(tmp_path)
    read(1, "first", 400 * MIB)
    read.begin(1, 400 * MIB)
    read.begin(2, 444 * MIB)
    read(2, "ends first", 445 * MIB, 1)
    graph.wait(RunDirectory(tmp_path))
    assert [path.name for path in RunDirectory(tmp_path).graphs()] == ["holders-2"]


def test_a_pair_of_labels_is_a_phase(tmp_path: Path) -> None:
    read = reader(tmp_path)
    for sequence, (label, size) in enumerate(
        [("first", 400), ("load_BEFORE", 400), ("other", 401), ("load_AFTER", 445)]
    ):
        read(sequence, label, size * MIB)
        graph.wait(RunDirectory(tmp_path))
    assert [path.name for path in RunDirectory(tmp_path).graphs()] == ["holders-3"]


def test_an_address_space_without_room_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = reader(tmp_path, holders_at=["point"])
    monkeypatch.setattr(holders.resource, "getrlimit", lambda _: (1 << 20, 1 << 20))
    said = read(1, "point", 100 * MIB)
    assert said is not None
    assert said.endswith("and 0 MiB are free")


def test_blocks_that_python_does_not_count_are_estimated(tmp_path: Path) -> None:
    read = reader(tmp_path, holders_at=["point"])
    (tmp_path / "limit").write_text(f"{500 * MIB}\n")
    (tmp_path / "usage").write_text("0\n")
    read._limits = [(str(tmp_path / "limit"), str(tmp_path / "usage"))]
    read._getallocatedblocks = lambda: 0
    assert "is not known: to look takes about " in str(read(1, "point", 400 * MIB))


@pytest.mark.parametrize(
    ("error", "said"),
    [(errno.EAGAIN, "Resource temporarily unavailable"), (errno.ENOSPC, "No space left on device")],
)
def test_what_the_system_refuses_is_told_and_tried_again(
    tmp_path: Path, error: int, said: str
) -> None:
    read = reader(tmp_path, holders_at=["*"])
    snapshot = read._snapshot

    def fails(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    read._snapshot = fails
    assert read(1, "one", MIB) == f"who holds the objects at one is not known: {said}"
    assert RunDirectory(tmp_path).graphs() == ()
    read._snapshot = snapshot
    assert read(2, "two", MIB) is None
    graph.wait(RunDirectory(tmp_path))
    assert graph.read(RunDirectory(tmp_path).graph(2)).sequence == 2


HIDES = """
import sys
sys.modules["memdeep.record._holders"] = None
from memdeep.cli.main import main
main()
"""


@pytest.mark.parametrize("option", ["--holders", "--holders-at=x", "--holders-most=3"])
def test_without_the_compiled_module_it_is_refused_before_the_start(
    tmp_path: Path, option: str
) -> None:
    (tmp_path / "job.py").write_text("print('started')")
    (tmp_path / "hides.py").write_text(HIDES)
    done = subprocess.run(
        [sys.executable, "hides.py", "run", "--quiet", "--no-report", option, "job.py"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if option == "--holders-most=3":  # which wants none by itself
        assert (done.returncode, done.stdout) == (0, "started\n")
        return
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Who holds the objects cannot be recorded: this build of memdeep has no" in done.stderr


def test_another_backend_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="not with --backend rss"):
        run_options(merge({"holders": True, "backend": "rss"}, Config()))


def test_troubles_are_not_told_without_end(tmp_path: Path) -> None:
    read = reader(tmp_path, holders_at=["*"], holders_most=1000)
    read._limits = [(str(tmp_path / "limit"), str(tmp_path / "usage"))]
    (tmp_path / "limit").write_text("2\n")
    (tmp_path / "usage").write_text("1\n")
    said = [read(number, "point", 100 * MIB) for number in range(20)]
    assert sum(one is not None for one in said) == holders.MOST_TROUBLES
    assert read.rest() == ["who holds the objects at 15 more checkpoints is not known"]
    assert reader(tmp_path).rest() == []


def test_looks_beyond_the_most_are_told(tmp_path: Path) -> None:
    read = reader(tmp_path, holders_at=["*"], holders_most=2)
    assert [read(number, "point", 100 * MIB) for number in range(1, 6)] == [None] * 5
    assert read.rest() == [
        "who holds the objects at 3 of the checkpoints is not known: --holders-most is 2"
    ]
    graph.wait(RunDirectory(tmp_path))
    assert len(RunDirectory(tmp_path).graphs()) == 2

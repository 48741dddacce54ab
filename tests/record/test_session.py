"""A recording needs no program of its own: a process may record itself for a while."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from running import environment

from memdeep.heap.header import read_header
from memdeep.rundir import journal

CODE = """
import sys

import memdeep
from memdeep.cli.options import Place
from memdeep.cli.settings import Config, merge
from memdeep.record.how import HowToRecord
from memdeep.record.session import Session

options = merge({"native": False, "focus": sys.argv[2:]}, Config()).of(Place.PROGRAM)
session = Session(HowToRecord(**options, run_dir=sys.argv[1]))
session.start()
with memdeep.phase("ours"):
    kept = bytearray(3_000_000)
session.finish()
with memdeep.phase("no longer recorded"):
    pass
print(len(kept))
"""


def record(run_dir: Path, *focus: str) -> list[tuple[str, str]]:
    """Record a process that records itself; return kinds and labels of its journal."""
    run_dir.mkdir()
    (run_dir / "journal.jsonl").touch()
    done = subprocess.run(
        [sys.executable, "-c", CODE, run_dir, *focus],
        env=environment(),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"3000000\n"), done.stderr.decode()
    events, damaged = journal.decode((run_dir / "journal.jsonl").read_bytes())
    assert damaged == 0
    return [(event.kind, event.label) for event in events]


def test_a_process_records_itself_from_start_to_finish(tmp_path: Path) -> None:
    events = record(tmp_path / "run")
    assert [(kind, label) for kind, label in events if kind in "BE"] == [
        (journal.BEGIN, "ours"),
        (journal.END, "ours"),
    ]
    assert [kind for kind, _ in events][-1] == journal.EXIT
    header = read_header(tmp_path / "run/capture.bin")
    assert header.allocations is not None and header.allocations > 0


def test_what_is_to_be_traced_holds_without_a_program_too(tmp_path: Path) -> None:
    events = record(tmp_path / "run", "another phase")
    assert journal.BEGIN in {kind for kind, _ in events}
    assert journal.TRACE not in {kind for kind, _ in events}
    assert not (tmp_path / "run/capture.bin").exists()

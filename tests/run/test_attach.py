"""`memdeep attach`: a program that runs already is recorded for a while, and goes on as before."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attaching import ATTACHABLE, STATE, Attachment, Program, running
from running import read_json, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")

MB = 1_000_000
WORK = (
    ATTACHABLE
    + """
ring = [bytearray(1000) for _ in range(20_000)]
kept = []

def turn(ring):
    with memdeep.phase("ring"):
        for place in range(len(ring)):
            ring[place] = bytearray(1000)

def leak():
    with memdeep.phase("leak"):
        kept.append(bytearray(5_000_000))

def in_thread():
    other = [bytearray(1000) for _ in range(20_000)]
    while True:
        go.acquire()
        turn(other)
        gone.release()

go, gone = threading.Semaphore(0), threading.Semaphore(0)
threading.Thread(target=in_thread, name="worker", daemon=True).start()
"""
)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The report on a program that turns its buffers around, and leaks."""
    with running(tmp_path_factory.mktemp("attached"), WORK) as program:
        attachment = Attachment(program, "--until-phase", "fini*").begun(program)
        for _ in range(2):
            program.do("turn(ring); leak(); go.release(); gone.acquire()")
        program.do("memdeep.checkpoint('finished')")
        report = attachment.finish()
        assert program.do("leak(); print(len(kept))") == ["3"]
        yield {**report, "said": attachment.stderr, "out": attachment.out}


def phases(report: dict[str, Any], name: str, thread: str | None = None) -> list[dict[str, Any]]:
    return [
        one
        for one in report["phases"]
        if one["name"] == name and (thread is None or one["thread"] == thread)
    ]


def test_the_verdict_is_that_it_was_detached(recorded: dict[str, Any]) -> None:
    end = recorded["exit"]
    assert (end["verdict"], end["code"], end["signal"]) == ("detached", None, None)
    assert end["evidence"] == [
        "memdeep detached when finished had come to its end (--until-phase)."
    ]
    assert recorded["processes"][0]["how"] == "attach"
    assert recorded["death"] is None
    assert "the program goes on" in recorded["said"]


def test_buffers_that_are_filled_anew_do_not_grow(recorded: dict[str, Any]) -> None:
    """Each holds 20 MB, of which every byte is new at the end."""
    for thread in ("MainThread", "worker"):
        (ring,) = phases(recorded, "ring", thread)
        assert ring["repeats"] == 2
        assert ring["allocated_bytes"] > 40 * MB
        assert abs(ring["heap_delta_bytes"]) < 0.5 * MB
    lines = [one["culprit"]["source"] for one in recorded["findings"] if one["culprit"]]
    assert "ring[place] = bytearray(1000)" not in lines


def test_growth_is_found_by_line_and_phase(recorded: dict[str, Any]) -> None:
    first = recorded["findings"][0]
    assert first["kind"] == "growth"
    assert first["culprit"]["source"] == "kept.append(bytearray(5_000_000))"
    assert abs(first["bytes"] - 10 * MB) < MB
    assert recorded["phases"][first["phase"]]["name"] == "leak"


def test_what_was_there_before_is_told_as_such(recorded: dict[str, Any]) -> None:
    earlier = recorded["earlier"]
    assert earlier["heap_bytes"] > 40 * MB and earlier["blocks"] > 40_000
    assert earlier["heap_bytes"] < earlier["rss_bytes"]
    assert earlier["unknown_frees"] < 400
    assert recorded["checkpoints"][0]["heap_bytes"] == earlier["heap_bytes"]
    (ring,) = phases(recorded, "ring", "MainThread")
    assert ring["freed_culprits"][0]["function"] == "before the attach"
    assert "before the attach" in recorded["said"]
    assert "before the attach" in (recorded["out"] / "report.html").read_text("utf-8")


def test_where_it_could_not_be_listed_findings_go_by_the_rss(
    recorded: dict[str, Any], tmp_path: Path, run_memdeep: Any
) -> None:
    copied = tmp_path / "copied"
    copied.mkdir()
    for path in recorded["out"].iterdir():
        if path.name != "earlier" and path.is_file():
            (copied / path.name).write_bytes(path.read_bytes())
    done = run_memdeep("report", copied)
    assert done.returncode == 0, done.stderr
    report = read_json(copied / "report.json")
    assert report["earlier"]["blocks"] is None and report["earlier"]["unknown_frees"] > 40_000
    assert any("could not be listed" in one for one in report["problems"])
    growth = [one["culprit"]["source"] for one in report["findings"] if one["kind"] == "growth"]
    assert growth == ["kept.append(bytearray(5_000_000))"]


def test_the_highest_memory_is_counted_once(recorded: dict[str, Any]) -> None:
    at_checkpoints = [one["rss_bytes"] for one in recorded["checkpoints"]]
    assert max(at_checkpoints) <= recorded["peak_rss_bytes"] < 1.2 * max(at_checkpoints)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--for", "0.3s"), "memdeep detached when the 300 ms of --for were over."),
        (("--until", "1M", "--deep"), "; --until is 1.0 MB."),
        (("--until-phase", "leak"), "memdeep detached when leak had come to its end"),
    ],
)
def test_it_detaches_when_it_is_to(tmp_path: Path, options: tuple[str, ...], reason: str) -> None:
    with running(tmp_path, WORK) as program:
        attachment = Attachment(program, *options)
        if "leak" in options:
            attachment.begun(program)
            program.do("leak()")
        report = attachment.finish()
        assert program.do("print(api.is_recording())") == ["False"]
    assert reason in report["exit"]["evidence"][0]
    assert report["mode"]["python_allocators"] == ("--deep" in options)


MARKS = """
memdeep.attachable()
def marks():
    while True:
        with memdeep.phase("outer"), memdeep.phase("inner"):
            pass
        time.sleep(0.0001)
for _ in range(8):
    threading.Thread(target=marks, daemon=True).start()
"""


def test_threads_that_mark_all_the_time_keep_nobody_from_detaching(tmp_path: Path) -> None:
    """They mark more than can be read; what one is about to mark at the end is not lost."""
    with running(tmp_path, MARKS) as program:
        report = Attachment(program, "--for", "0.3s").finish()
        assert program.do("print(api.is_recording())") == ["False"]
    assert report["exit"]["verdict"] == "detached"
    assert report["problems"] == []


def test_a_phase_without_a_name_is_waited_for_by_nobody(run_memdeep: Any) -> None:
    done = run_memdeep("attach", os.getpid(), "--until-phase", "")
    assert done.returncode == 2
    assert b"--until-phase: the name of a phase or checkpoint is empty" in done.stderr


def test_an_interrupt_detaches_and_phases_that_are_open_end_there(tmp_path: Path) -> None:
    with running(tmp_path, WORK) as program:
        attachment = Attachment(program).begun(program)
        program.do("around = memdeep.phase('open'); around.__enter__(); leak()")
        report = attachment.interrupt().finish()
        program.do("around.__exit__(None, None, None)")
        assert program.do("print(api.is_recording())") == ["False"]
        second = Attachment(program, "--for", "0.2", name="second").finish()
    assert report["exit"]["evidence"] == ["memdeep detached since it was told to."]
    (around,) = phases(report, "open")
    assert around["complete"] is False and around["end"] == len(report["checkpoints"]) - 1
    assert around["heap_delta_bytes"] > 4.5 * MB
    assert phases(second, "open") == []


def test_a_program_that_is_killed_meanwhile_is_reported_on(tmp_path: Path) -> None:
    with running(tmp_path, WORK) as program:
        attachment = Attachment(program).begun(program)
        program.do("around = memdeep.phase('open'); around.__enter__(); leak()")
        program.process.send_signal(signal.SIGKILL)
        report = attachment.finish()
    assert (report["exit"]["verdict"], report["exit"]["signal"]) == ("killed", "SIGKILL")
    assert [report["phases"][place]["name"] for place in report["death"]["phases"]] == ["open"]


@pytest.mark.parametrize(
    ("end", "code", "verdict", "evidence"),
    [
        ("sys.exit(0)", 0, "completed", ""),
        ("raise ValueError('own')", 1, "failed", "ValueError"),
        ("os._exit(7)", 7, "failed", "os._exit"),
    ],
)
def test_a_program_that_ends_meanwhile_is_reported_on(
    tmp_path: Path, end: str, code: int, verdict: str, evidence: str
) -> None:
    with running(tmp_path, WORK) as program:
        attachment = Attachment(program).begun(program)
        program.do("leak()")
        program.tell(end)
        report = attachment.finish()
    assert (report["exit"]["verdict"], report["exit"]["code"]) == (verdict, code)
    assert evidence in " ".join(report["exit"]["evidence"])
    assert len(phases(report, "leak")) == 1


def test_twenty_times_leave_a_program_as_it_was(tmp_path: Path) -> None:
    with running(tmp_path, WORK + STATE) as program:
        Attachment(program, "--for", "0.1", "--no-report", name="first").process.wait()
        program.remember()
        threads = len(list(Path(f"/proc/{program.pid}/task").iterdir()))
        for number in range(20):
            done = Attachment(program, "--for", "0.05", "--no-report", "-q", name=f"n{number}")
            assert done.process.wait() == 0
        tasks = Path(f"/proc/{program.pid}/task")
        wait_until(lambda: len(list(tasks.iterdir())) == threads)
        program.hold_against_remembered()


def test_a_program_goes_on_if_memdeep_is_killed(tmp_path: Path) -> None:
    with running(tmp_path, WORK + STATE) as program:
        Attachment(program, "--for", "0.1", "--no-report", name="first").process.wait()
        program.remember()
        attachment = Attachment(program).begun(program)
        program.do("leak()")
        attachment.process.kill()
        attachment.process.communicate()
        program.wait_for("not api.is_recording()")
        program.hold_against_remembered()
        assert program.do("leak(); print(len(kept))") == ["2"]
        report = Attachment(program, "--for", "0.1", name="second").finish()
    assert report["exit"]["verdict"] == "detached"


def complaint(program: Program, *options: object, status: int = 126) -> str:
    attachment = Attachment(program, *options, name="refused")
    attachment.finish(status)
    assert not attachment.out.exists()
    return attachment.stderr


def test_a_second_one_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with running(tmp_path, WORK) as program:
        first = Attachment(program).begun(program)
        said = complaint(program)
        program.do("leak()")
        report = first.interrupt().finish()
    assert f"Process {program.pid} is being recorded by memdeep already." in said
    assert len(phases(report, "leak")) == 1


def test_a_program_that_memray_tracks_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, WORK) as program:
        program.do("import memray; tracker = memray.Tracker('own.bin'); tracker.__enter__()")
        said = complaint(program)
        program.do("tracker.__exit__(None, None, None)")
    assert f"memray is tracking process {program.pid} already" in said


def test_a_directory_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, WORK) as program:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine").touch()
        attachment = Attachment(program)
        attachment.finish(125)
        assert "exists already and is not empty" in attachment.stderr
        assert program.do("print(api.is_recording())") == ["False"]


@pytest.mark.skipif(sys.version_info < (3, 14), reason="Python calls for others from 3.14 on")
def test_a_program_that_has_called_nothing_is_reached_by_its_interpreter(tmp_path: Path) -> None:
    with running(tmp_path, WORK.removeprefix(ATTACHABLE)) as program:
        for name in ("first", "second"):
            attachment = Attachment(program, name=name).begun(program)
            program.do("turn(ring); leak()")
            report = attachment.interrupt().finish()
            assert report["exit"]["verdict"] == "detached"
            (ring,) = phases(report, "ring")
            assert abs(ring["heap_delta_bytes"]) < 0.5 * MB
            assert report["findings"][0]["culprit"]["source"] == (
                "kept.append(bytearray(5_000_000))"
            )
        assert program.do("print(threading.active_count(), api.is_recording())") == ["2 False"]


MIXED = (
    ATTACHABLE
    + """
ring, kept = [bytearray(20_000) for _ in range(500)], []

def turn_and_leak(count):
    for place in range(count):
        ring[place] = bytearray(20_000)
        kept.append(bytearray(20_000))
"""
)


def test_what_may_only_have_replaced_what_was_there_is_told(tmp_path: Path) -> None:
    """Half of what is new took the place of the ring, all of it looks alike: who knows which?"""
    with running(tmp_path, MIXED) as program:
        attachment = Attachment(program, "--lang", "en").begun(program)
        program.do("turn_and_leak(400)")
        report = attachment.interrupt().finish()
    grown = [one for one in report["findings"] if one["kind"] == "growth"]
    assert {round(one["bytes"] / MB) for one in grown} == {8}
    for one in grown:
        assert "took the place of what was there before the attach" in one["title"]
        assert "in a thread" not in one["title"]
    assert "still alive when memdeep detached" in " ".join(attachment.stderr.split())


def test_an_exec_ends_an_attachment_and_is_told(tmp_path: Path) -> None:
    with running(tmp_path, MIXED) as program:
        attachment = Attachment(program, "--lang", "en").begun(program)
        wait_until(lambda: (attachment.out / "samples").exists())
        program.do("turn_and_leak(400)")
        program.tell(
            "os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(9)'])"
        )
        report = attachment.finish()
    assert report["exit"]["verdict"] == "detached"
    said = " ".join(attachment.stderr.split())
    assert "it put another program in its place (exec)" in said
    assert "still running" not in said


def test_a_run_directory_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    with running(tmp_path, MIXED) as program:
        attachment = Attachment(program, "--lang", "en").begun(program)
        wait_until(lambda: (attachment.out / "samples").exists())
        shutil.rmtree(attachment.out)
        attachment.interrupt().finish(66)
        assert "Traceback" not in attachment.stderr
        assert program.do("turn_and_leak(1); print(len(kept))") == ["1"]

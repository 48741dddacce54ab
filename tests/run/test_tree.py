"""The memory of several processes is counted once: a shared page is no reason to end anybody."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import TIMEOUT_S, RunMemdeep, environment, read_json

from memdeep.loading.run import load_run
from memdeep.report import sentences
from memdeep.run import shares
from memdeep.run.sampling import TreeSampler, _Watched
from memdeep.run.shares import AT_LEAST_S, CREDIT_S, FORCED, ORDINARY, Pace
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.meta import Meta, decode_meta
from memdeep.rundir.samples import ProcessSample, decode_samples, encode_sample, tree_bytes
from memdeep.text.language import language

MB = 1 << 20
OPTIONS = ("--no-native", "--backend", "rss", "-o", "run")
needs_shares = pytest.mark.skipif(not shares.IS_TOLD, reason="this system does not tell PSS")


def meta_of(work: Path) -> Meta:
    path = work / "run/meta.json"
    return decode_meta(path.read_bytes(), path)


def ticks(work: Path) -> list[list[ProcessSample]]:
    found: dict[int, list[ProcessSample]] = {}
    for sample in decode_samples((work / "run/samples").read_text()):
        found.setdefault(sample.time_ms, []).append(sample)
    return list(found.values())


@needs_shares
@pytest.mark.parametrize("kind", ["idle", "vfork"])
def test_a_program_that_shares_its_memory_is_not_ended(
    work: Path, run_memdeep: RunMemdeep, kind: str
) -> None:
    words = (*OPTIONS, "--kill-at", "250M", "--critical-mb", "249", "tree.py", kind)
    completed = run_memdeep("run", *words, cwd=work)
    assert (completed.returncode, completed.stdout) == (0, b"done\n")
    report = read_json(work / "run/report.json")
    assert report["exit"]["evidence"] == report["stack_dumps"] == []
    told = " ".join(completed.stderr.decode().split())
    assert re.search(r"all processes at one moment \(PSS\) 1[5-9]\d\.\d MB", told), told
    meta = meta_of(work)
    assert meta.peak_pss_bytes is not None
    assert 150 * MB < meta.peak_pss_bytes < 200 * MB
    assert report["peak_pss_bytes"] == meta.peak_pss_bytes
    sums = [sum(one.rss_bytes for one in tick) for tick in ticks(work)]
    highest = max(sums)
    # What is to become another program is left out: it lives in the memory of its parent. So did
    # the other child, until it let go of it: that may have been seen.
    assert highest > 450 * MB if kind == "idle" else median(sums) < 250 * MB
    assert report["peak_rss_bytes"] == highest


@needs_shares
def test_children_with_memory_of_their_own_count(work: Path, run_memdeep: RunMemdeep) -> None:
    completed = run_memdeep("run", *OPTIONS, "--kill-at", "400M", "tree.py", "own", cwd=work)
    assert completed.returncode == 143
    assert read_json(work / "run/report.json")["exit"]["verdict"] == "killed"
    (by_signal, deed) = meta_of(work).evidence
    assert deed.key == "exit.kill_at_pss"
    assert 400 * MB <= int(str(deed.values["pss_bytes"])) < 500 * MB
    assert "when the memory of its processes (PSS) was 4" in sentences.statement(
        deed, language("en")
    )
    assert "各进程的内存合计（PSS）达到 4" in sentences.statement(deed, language("zh"))
    assert by_signal.values["signal"] == "SIGTERM"


@needs_shares
def test_the_curve_of_several_processes_is_of_what_they_share(
    work: Path, run_memdeep: RunMemdeep
) -> None:
    assert run_memdeep("run", *OPTIONS, "tree.py", "idle", cwd=work).returncode == 0
    root, child = (one.pid for one in meta_of(work).processes[:2])
    late_ms = 100_000
    lone = ProcessSample(late_ms, root, 500 * MB, 9 * MB)
    unread = [ProcessSample(late_ms + 1, pid, 600 * MB, 9 * MB) for pid in (root, child)]
    read = [
        ProcessSample(late_ms + 2, root, 600 * MB, 9 * MB, 400 * MB, 380 * MB, 0, 300 * MB),
        ProcessSample(late_ms + 2, child, 600 * MB, 9 * MB, 150 * MB, 148 * MB, 0, 100 * MB),
    ]
    with open(work / "run/samples", "a") as file:
        file.write("".join(map(encode_sample, [lone, *unread, *read])))
    path = work / "run"
    curve = load_run(RunDirectory(path)).run.rss_curve[-2:]
    assert [(one.bytes, one.file_bytes) for one in curve] == [
        (500 * MB, 9 * MB),
        (550 * MB, 22 * MB),
    ]


@needs_shares
def test_what_is_seen_of_each_process(work: Path, run_memdeep: RunMemdeep) -> None:
    assert run_memdeep("run", *OPTIONS, "tree.py", "own", cwd=work).returncode == 0
    root, *children = meta_of(work).processes
    assert len(children) == 3
    assert root.start_s == 0
    for child in children:
        assert child.parent_pid == root.pid
        assert child.start_s is not None
        assert child.end_s is not None
        assert 0 < child.start_s < child.end_s
        assert 0.5 < child.end_s - child.start_s < 3
        assert child.peak_rss_bytes > 240 * MB
        assert child.peak_uss_bytes is not None
        assert child.peak_pss_bytes is not None
        assert MB < child.peak_uss_bytes < child.peak_pss_bytes < 150 * MB
        assert (child.exit, child.signal, child.verdict) == (None, None, None)


@needs_shares
def test_readings_of_shares_are_of_one_moment(work: Path, run_memdeep: RunMemdeep) -> None:
    assert run_memdeep("run", *OPTIONS, "tree.py", "own", cwd=work).returncode == 0
    found = ticks(work)
    several = [tick for tick in found if len(tick) > 1]
    read = [tick for tick in several if tree_bytes(tick) is not None]
    assert read
    for tick in found:
        known = {one.pss_bytes is not None for one in tick}
        assert known == {tick in read}
    for tick in read:
        for one in tick:
            figures = (one.pss_bytes, one.pss_anon_bytes, one.pss_shmem_bytes, one.uss_bytes)
            total, anonymous, shared, own = [figure or 0 for figure in figures]
            assert max(anonymous + shared, own) <= total <= one.rss_bytes + MB


WITHOUT = """\
import sys
from memdeep.run import shares
from memdeep.run.sampling import TreeSampler, _Watched
shares._ROLLUP, shares.IS_TOLD = "/nowhere/{}", False
from memdeep.cli import main
main.main(sys.argv[1:])
"""


def test_without_shares_the_sum_of_the_rss_counts(work: Path) -> None:
    words = ("run", *OPTIONS, "--kill-at", "400M", "tree.py", "idle")
    completed = subprocess.run(
        [sys.executable, "-c", WITHOUT, *words],
        cwd=work,
        env=environment(),
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert completed.returncode == 143
    meta = meta_of(work)
    assert [said.key for said in meta.evidence] == ["exit.by_signal", "exit.kill_at"]
    (note,) = meta.notes
    assert "cannot be read here (PSS)" in note
    assert meta.peak_pss_bytes is None
    report = read_json(work / "run/report.json")
    assert note in report["problems"]
    assert report["peak_pss_bytes"] is None
    assert "Peak PSS, all processes" not in (work / "run/report.html").read_text("utf-8")
    assert b"(PSS)" not in completed.stderr.replace(b"cannot be read here (PSS)", b"")


@given(
    st.lists(st.tuples(st.floats(0.0001, 2), st.booleans()), min_size=1, max_size=50),
    st.floats(0.005, 0.2),
)
def test_readings_keep_to_their_part_of_the_time(
    rounds: list[tuple[float, bool]], step_s: float
) -> None:
    """Before each round, all earlier ones have taken their part of the time and the credit."""
    pace, now_s, spent_s, ended_s = Pace(), 0.0, 0.0, None
    for took_s, is_forced in rounds:
        while not pace.allows(now_s, is_forced=is_forced):
            now_s += step_s
        allowed = FORCED if is_forced else ORDINARY
        assert spent_s <= CREDIT_S + allowed * now_s + 1e-9
        assert ended_s is None or now_s - ended_s >= AT_LEAST_S
        now_s += took_s
        pace.note(now_s, took_s)
        spent_s, ended_s = spent_s + took_s, now_s


@needs_shares
def test_the_shares_are_read_where_the_rss_is_higher_than_ever(monkeypatch: Any) -> None:
    """Also if ordinary readings have had their part of the time; a little more does not count."""
    sampler = TreeSampler(os.getpid(), time.monotonic_ns())
    rss = [0]
    pids = (os.getpid(), os.getppid())
    monkeypatch.setattr(
        sampler, "_read_rss", lambda at: [ProcessSample(at, pid, rss[0], 0) for pid in pids]
    )
    monkeypatch.setattr(sampler, "_read_shares", lambda read: read)
    monkeypatch.setattr(sampler, "_refresh", lambda: None)
    sampler._alive = {pid: _Watched(psutil.Process(pid), 0.0) for pid in pids}
    sampler._pace.note(time.monotonic() - 1, 0.0)
    sampler._pace._began_s = time.monotonic() - 100.0
    sampler._pace._spent_s = 2.0  # of 100 seconds

    def reads(size: int) -> bool:
        rss[0] = size
        sampler._pace._ended_s = float("-inf")
        return sampler.sample().size is not None

    assert [reads(size * MB) for size in (100, 103, 120, 110, 127, 128)] == [
        *(True, False, True, False, False, True)
    ]

"""`--memory-limit` and `--kill-at`: a program that eats too much, killed and ended for real."""

from __future__ import annotations

import re
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from cgroups import needs_cgroups
from running import (
    TIMEOUT_S,
    RunMemdeep,
    environment,
    memdeep_command,
    read_json,
    stack_of,
    wait_until,
)

from memdeep.run import cgroup

MB = 1 << 20
OPTIONS = ("--no-native", "-o", "run")


def report_of(work: Path) -> dict[str, Any]:
    assert (work / "run/report.html").stat().st_size > 0
    return read_json(work / "run/report.json")


@needs_cgroups
def test_the_kernel_kills_at_the_limit_of_a_cgroup(work: Path, run_memdeep: RunMemdeep) -> None:
    completed = run_memdeep("run", *OPTIONS, "--memory-limit", "150M", "eats.py", "400", cwd=work)
    assert completed.returncode == 137
    text = completed.stderr.decode()
    assert "The kernel killed the program for want of memory" in text
    report = report_of(work)
    end = report["exit"]
    assert (end["signal"], end["verdict"]) == ("SIGKILL", "oom-killed")
    evidence = "\n".join(end["evidence"])
    assert "kill counter of its cgroup rose from 0 to 1" in evidence
    assert "of the limit of 150.0 MB (--memory-limit, a cgroup of its own)" in evidence
    assert report["limit"] == {
        "bytes": 150 * MB,
        "source": "--memory-limit, a cgroup of its own",
        "of_address_space": False,
    }
    assert report["death"]["culprits"][0]["source"].strip().startswith("kept.append(")
    assert report["death"]["heap_bytes"] > 80 * MB
    page = (work / "run/report.html").read_text()
    [label] = re.findall(r'<span class="[^"]*\bthreshold-limit".*?</span></span>', page)
    assert ">Limit 150.0 MB<" in label
    # The group has gone with the run.
    home = cgroup.own()
    assert home is not None
    assert not list(home.path.glob("memdeep-[0-9]*"))


@needs_cgroups
def test_a_program_within_its_limit_completes(work: Path, run_memdeep: RunMemdeep) -> None:
    completed = run_memdeep("run", *OPTIONS, "--memory-limit", "1G", "eats.py", "40", cwd=work)
    assert (completed.returncode, completed.stdout) == (0, b"eaten\n")
    assert report_of(work)["exit"]["evidence"] == []


@needs_cgroups
def test_a_sigkill_within_the_limit_is_no_want_of_memory(
    work: Path, run_memdeep: RunMemdeep
) -> None:
    words = ("--memory-limit", "1G", "dies.py", "SIGKILL")
    assert run_memdeep("run", *OPTIONS, *words, cwd=work).returncode == 137
    end = report_of(work)["exit"]
    assert end["verdict"] == "killed"
    assert (
        "The kernel has not killed it for want of memory: somebody sent the signal."
        in (end["evidence"])
    )


def test_without_cgroups_the_address_space_is_limited(work: Path, run_memdeep: RunMemdeep) -> None:
    """A memory controller that cannot be written to, as for a user without rights."""
    code = (
        "import sys; from memdeep.cli import main; from memdeep.run import cgroup;"
        "cgroup.create = lambda *_: (_ for _ in ()).throw(PermissionError(13, 'Permission denied'))"
        "; main.main(sys.argv[1:])"
    )
    words = ("run", *OPTIONS, "--memory-limit", "600M", "eats.py", "2000")
    completed = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=work,
        env=environment(),
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert completed.returncode == 1
    text = completed.stderr.decode()
    note = "--memory-limit 600.0 MB is in force as RLIMIT_AS, as no cgroup could be made"
    assert text.startswith(f"memdeep: {note}")
    assert "MemoryError" in text
    report = report_of(work)
    evidence = "\n".join(report["exit"]["evidence"])
    assert "Nobody caught MemoryError." in evidence
    assert "of the limit of 600.0 MB (--memory-limit, as RLIMIT_AS)" in evidence
    assert report["limit"]["of_address_space"] is True
    assert report["death"]["culprits"][0]["source"].strip().startswith("kept.append(")
    assert note in (work / "run/report.html").read_text()


def test_kill_at_ends_the_program_and_says_who_was_running(
    work: Path, run_memdeep: RunMemdeep
) -> None:
    completed = run_memdeep("run", *OPTIONS, "--kill-at", "100M", "eats.py", "800", cwd=work)
    assert completed.returncode == 128 + signal.SIGTERM
    report = report_of(work)
    end = report["exit"]
    assert (end["signal"], end["verdict"]) == ("SIGTERM", "killed")
    assert any("memdeep ended it by SIGTERM at --kill-at 100.0 MB" in s for s in end["evidence"])

    (dump,) = report["stack_dumps"]
    assert dump["reason"] == "--kill-at 100.0 MB"
    assert dump["rss_bytes"] >= 100 * MB
    stacks = [stack_of(report, thread) for thread in dump["threads"]]
    innermost = [stack[-1]["function"] for stack in stacks]
    assert sorted(innermost) == ["grow", "idle"]
    (current,) = [thread for thread in dump["threads"] if thread["current"]]
    assert stack_of(report, current)[-1]["function"] == "grow"
    assert not any("memdeep" in frame["filename"] for stack in stacks for frame in stack)
    written = work / "run/stacks.txt"
    assert "in grow" in written.read_text()
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert "grow was at eats.py:" in completed.stderr.decode().replace("\n", " ")


def test_a_program_that_does_not_leave_is_killed(work: Path, run_memdeep: RunMemdeep) -> None:
    words = ("--kill-at", "100M", "eats.py", "4000", "stubborn")
    completed = run_memdeep("run", *OPTIONS, *words, cwd=work)
    assert completed.returncode == 137
    end = report_of(work)["exit"]
    assert (end["signal"], end["verdict"]) == ("SIGKILL", "killed")
    assert any("so memdeep sent SIGKILL" in sentence for sentence in end["evidence"])


def test_the_critical_threshold_dumps_once_and_kills_nobody(
    work: Path, run_memdeep: RunMemdeep
) -> None:
    completed = run_memdeep("run", *OPTIONS, "--critical-mb", "80", "eats.py", "120", cwd=work)
    assert (completed.returncode, completed.stdout) == (0, b"eaten\n")
    report = report_of(work)
    assert report["exit"]["verdict"] == "completed"
    (dump,) = report["stack_dumps"]
    assert dump["reason"] == "--critical-mb 80.0 MB"


def test_below_the_thresholds_no_file_of_stacks_is_left(
    work: Path, run_memdeep: RunMemdeep
) -> None:
    run_memdeep("run", *OPTIONS, "--critical-mb", "800", "--kill-at", "1G", "grows.py", cwd=work)
    assert report_of(work)["stack_dumps"] == []
    assert not (work / "run/stacks.txt").exists()


@pytest.mark.parametrize("way", ["exec", "closed files", "blocked"])
def test_a_program_that_cannot_answer_is_not_asked(
    work: Path, run_memdeep: RunMemdeep, way: str
) -> None:
    """A signal without our handler would end it, and a file of its own must stay its own."""
    eat = "import time; x = bytearray(b'x') * (120 << 20); time.sleep(0.3); print('well')"
    code = {
        "exec": f"import os, sys; os.execv(sys.executable, [sys.executable, '-c', {eat!r}])",
        "closed files": (  # behind Python's back, so that nothing can be passed over
            "import ctypes; close = ctypes.CDLL(None).close; [close(n) for n in range(3, 4096)]; "
            f"own = open('own', 'wb'); {eat}"
        ),
        "blocked": "import signal; signal.pthread_sigmask(0, signal.valid_signals()); " + eat,
    }[way]
    words = ("--backend", "rss", "-o", "run", "--critical-mb", "80", "-c", code)
    completed = run_memdeep("run", *words, cwd=work)
    assert (completed.returncode, completed.stdout) == (0, b"well\n")
    assert report_of(work)["stack_dumps"] == []
    assert way != "closed files" or (work / "own").read_bytes() == b""


def test_a_program_that_closes_every_descriptor_can_still_answer(
    work: Path, run_memdeep: RunMemdeep
) -> None:
    code = (
        "import os, time; os.closerange(3, 65536); own = open('own', 'wb'); "
        "x = bytearray(b'x') * (120 << 20); time.sleep(0.3); print('well')"
    )
    words = ("--backend", "rss", "-o", "run", "--critical-mb", "80", "-c", code)
    completed = run_memdeep("run", *words, cwd=work)
    assert (completed.returncode, completed.stdout) == (0, b"well\n")
    assert len(report_of(work)["stack_dumps"]) == 1
    assert (work / "own").read_bytes() == b""


def test_children_do_not_outlive_a_program_that_was_ended(
    work: Path, run_memdeep: RunMemdeep
) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "open('child', 'w').write(str(child.pid))\n"
        "time.sleep(0.6)\n"
        "x = bytearray(b'x') * (150 << 20)\n"
        "time.sleep(60)\n"
    )
    completed = run_memdeep("run", *OPTIONS, "--kill-at", "120M", "-c", code, cwd=work)
    assert completed.returncode == 143
    pid = int((work / "child").read_text())
    wait_until(
        lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    )
    assert b"still running" not in completed.stderr
    (child,) = read_json(work / "run/report.json")["processes"][1:]
    assert (child["pid"], child["verdict"]) == (pid, None)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("much", "must be a size such as 950M or 1.5G"),
        ("100", "must be a size such as 950M or 1.5G"),
        ("-1G", "must be a size such as 950M or 1.5G"),
        ("1K", "must be at least 1M"),
    ],
)
@pytest.mark.parametrize("option", ["--memory-limit", "--kill-at"])
def test_wrong_sizes_are_refused(
    work: Path, run_memdeep: RunMemdeep, option: str, text: str, complaint: str
) -> None:
    completed = run_memdeep("run", f"{option}={text}", "grows.py", cwd=work)
    assert completed.returncode == 2
    assert complaint in completed.stderr.decode()


def test_sizes_may_be_set_in_a_file(work: Path, run_memdeep: RunMemdeep) -> None:
    (work / "memdeep.toml").write_text('kill-at = "100M"\noutput = "run"\nnative = false\n')
    assert run_memdeep("run", "eats.py", "800", cwd=work).returncode == 143
    (work / "memdeep.toml").write_text("kill-at = 100\n")
    completed = run_memdeep("run", "eats.py", "8", cwd=work)
    assert completed.returncode == 2
    assert b"kill-at must be a size such as 950M or 1.5G" in completed.stderr
    assert b'kill-at = "950M"' in completed.stderr


@pytest.mark.parametrize("backend", ["memray", "rss"])
def test_a_program_with_a_fault_handler_of_its_own_keeps_it(
    work: Path, run_memdeep: RunMemdeep, backend: str
) -> None:
    """Whether stacks may be asked for or not, `faulthandler` is the program's to use."""
    code = (
        "import faulthandler, os, signal, sys\n"
        "print(faulthandler.is_enabled())\n"
        "faulthandler.enable(all_threads=False)\n"
        "faulthandler.register(signal.SIGUSR1, file=sys.stdout, all_threads=False)\n"
        "def f(): os.kill(os.getpid(), signal.SIGUSR1)\n"
        "f()\n"
        "print(faulthandler.unregister(signal.SIGUSR1), faulthandler.unregister(signal.SIGUSR2))\n"
        "faulthandler.dump_traceback_later(60)\n"
        "faulthandler.cancel_dump_traceback_later()\n"
        "import ctypes; ctypes.string_at(0)\n"
    )
    options = ("--backend", backend, "--quiet", "--no-report", "--no-native", "--force")
    asked = run_memdeep("run", *options, "--kill-at", "9G", "-o", "run", "-c", code, cwd=work)
    unasked = run_memdeep("run", *options, "-o", "run", "-c", code, cwd=work)
    assert asked.returncode == unasked.returncode == 139
    assert asked.stdout.startswith(b"False\n")
    assert b"in f\n" in asked.stdout
    assert b"Fatal Python error: Segmentation fault" in asked.stderr
    for first, second in ((asked.stdout, unasked.stdout), (asked.stderr, unasked.stderr)):
        assert re.sub(rb"0x\w+", b"", first) == re.sub(rb"0x\w+", b"", second)


def test_runs_started_in_the_same_second_do_not_collide(work: Path) -> None:
    words = memdeep_command("run", "--quiet", "--no-native", "grows.py")
    processes = [
        subprocess.Popen(words, cwd=work, env=environment(), stdout=subprocess.DEVNULL)
        for _ in range(4)
    ]
    assert [process.wait(TIMEOUT_S) for process in processes] == [0] * 4
    run_dirs = [path for path in (work / "memdeep-runs").glob("*-*") if not path.is_symlink()]
    assert len(run_dirs) == 4
    for run_dir in run_dirs:
        assert stat.S_IMODE(run_dir.stat().st_mode) == 0o700
        assert read_json(run_dir / "report.json")["exit"]["verdict"] == "completed"

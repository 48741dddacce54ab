"""`memdeep run --notify`: commands and servers are told of real programs, which notice nothing."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from running import RunMemdeep, complaint, environment

from memdeep.errors import ProgramError
from memdeep.live import notify

PROGRAM = """
import memdeep, sys, time
kept = []
with memdeep.phase("job"):
    for k in range(30):
        with memdeep.phase("step"):
            if sys.argv[1] == "leak" or k < 6:
                kept.append(b"x" * 3_000_000)
            time.sleep(0.06)
print("done")
"""
NOTE = """
import json, os, sys
facts = json.load(sys.stdin)
facts["environment"] = {name: value for name, value in os.environ.items() if "MEMDEEP_" in name}
with open(LOG, "a") as file:
    file.write(json.dumps(facts) + "\\n")
"""
QUIET = ("--no-report", "--no-native")


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "任务.py"
    path.write_text(PROGRAM, "utf-8")
    return path


@pytest.fixture
def command(tmp_path: Path) -> str:
    """A command that notes what it is told in `log`."""
    script = tmp_path / "note it.py"
    script.write_text(NOTE.replace("LOG", repr(str(tmp_path / "log"))))
    return f"{sys.executable} '{script}'"


def told(work: Path) -> list[dict[str, Any]]:
    log = work / "log"
    return [json.loads(text) for text in log.read_text().splitlines()] if log.exists() else []


@contextmanager
def server(status: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that answers with ``status``; its address, and what was posted to it."""
    posted: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/json"
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{found.server_port}/hooks/secret?key=1", posted
        finally:
            found.shutdown()


def test_a_command_and_a_server_are_told_once_of_each_threshold_and_of_growth(
    job: Path, command: str, run_memdeep: RunMemdeep
) -> None:
    with server(204) as (address, posted):
        targets = ("--notify", command, "--notify", address)
        levels = ("--warning-mb", 60, "--critical-mb", 80)
        done = run_memdeep("run", *QUIET, *levels, *targets, "-o", "run", job, "leak")
    assert done.returncode == 0
    assert done.stdout == b"done\n"
    assert b"failed" not in done.stderr
    found = told(job.parent)
    assert [facts["event"] for facts in found].count("warning") == 1
    assert [facts["event"] for facts in found].count("critical") == 1
    (growth,) = [facts for facts in found if facts["event"] == "growth"]
    assert growth["grown"] == "job › step"
    assert growth["repeats"] >= 12
    assert 2_000_000 < growth["slope_bytes"] < 4_000_000
    for facts in found:
        assert facts["program"] == "任务"
        assert Path(facts["run"]) == job.parent / "run"
        assert facts["phases"][:1] == ["job"]
        around = facts.pop("environment")
        assert around["MEMDEEP_EVENT"] == facts["event"]
        assert around["MEMDEEP_BYTES"] == str(facts["bytes"])
        assert around["MEMDEEP_MESSAGE"] == facts["message"]
        assert "任务" in facts["message"]
    assert posted == found


def test_nobody_is_told_of_a_program_that_keeps_what_it_has(
    job: Path, command: str, run_memdeep: RunMemdeep
) -> None:
    done = run_memdeep("run", *QUIET, "--notify", command, "-o", "run", job, "plateau")
    assert done.stdout == b"done\n"
    assert told(job.parent) == []


def test_what_fails_is_told_once_and_the_program_goes_on(
    job: Path, run_memdeep: RunMemdeep
) -> None:
    with server(500) as (address, posted):
        failing = f"{sys.executable} -c 'import sys; sys.exit(3)'"
        targets = ("--notify", failing, "--notify", address, "--notify", "http://127.0.0.1:9/x")
        levels = ("--warning-mb", 60, "--critical-mb", 80)
        done = run_memdeep("run", *QUIET, *levels, *targets, "-o", "run", job, "leak")
    assert done.returncode == 0
    assert done.stdout == b"done\n"
    lines = done.stderr.decode().splitlines()
    assert len(posted) == 3
    assert sum("failed: it ended with status 3." in line for line in lines) == 1
    assert sum("127.0.0.1 failed: the server answered 500." in line for line in lines) == 1
    assert sum("connection refused" in line for line in lines) == 1
    assert not any("secret" in line for line in lines)


def test_a_command_that_never_ends_does_not_keep_the_run(
    job: Path, run_memdeep: RunMemdeep
) -> None:
    slow = f"{sys.executable} -c 'import time; time.sleep(600)'"
    levels = ("--warning-mb", 60)
    chinese = environment(LC_ALL="zh_CN.UTF-8")
    done = run_memdeep(
        "run", *QUIET, *levels, "--notify", slow, "-o", "run", job, "leak", env=chinese
    )
    assert done.returncode == 0
    assert "程序结束后 5 秒内没有发完所有通知" in done.stderr.decode()


@pytest.mark.parametrize("target", ["no-such-command --now", "", "'unclosed"])
def test_a_command_that_is_not_there_is_refused_before_the_start(
    job: Path, run_memdeep: RunMemdeep, target: str
) -> None:
    done = run_memdeep("run", *QUIET, "--notify", target, "-o", "run", job, "leak")
    assert done.returncode == 2
    sentence, hint = complaint(done)
    assert sentence.startswith("There is no command")
    assert "https://" in hint
    assert not (job.parent / "run").exists()
    with pytest.raises(ProgramError):
        notify.check(target)

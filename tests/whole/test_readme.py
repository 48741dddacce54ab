"""Every command that the README shows is run here, as it is written there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import ROOT, wait_until
from shown import commands, environment

README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = [line.split("  # ")[0].strip() for line in commands(ROOT / "README.md")]
INLINE = ["memdeep report memray-job.bin", "memdeep run --help"]

JOB = """\
import json
from memdeep import checkpoint, phase
checkpoint("加载config_BEFORE")
config = [bytearray(100_000) for _ in range(30)]
checkpoint("加载config_AFTER", note="12 symbols")
print("【Phase 1: 客观机会识别】", json.loads("[1]"))
with phase("optimise"):
    kept = [bytearray(100_000) for _ in range(10)]
"""


SERVICE = """\
import os, time, memdeep
memdeep.attachable()
with open("service.pid", "w") as file:
    file.write(str(os.getpid()))
while True:
    with memdeep.phase("request"):
        kept = bytearray(100_000)
        time.sleep(0.05)
"""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with everything the README's commands name, and a service that runs."""
    place = tmp_path_factory.mktemp("readme")
    (place / "job.py").write_text(JOB, "utf-8")
    (place / "fixed_job.py").write_text(JOB.replace("range(30)", "range(3)"), "utf-8")
    (place / "package").mkdir()
    (place / "package" / "__init__.py").touch()
    (place / "package" / "module.py").write_text(JOB, "utf-8")
    shutil.copytree(ROOT / "examples", place / "examples")
    memray = [sys.executable, "-m", "memray", "run", "--quiet", "-o", "memray-job.bin", "job.py"]
    subprocess.run(memray, cwd=place, check=True)
    run = [sys.executable, "-m", "memdeep", "run", "--no-report", "--quiet", "-o"]
    earlier = "memdeep-runs/job-20251120-103045"
    subprocess.run([*run, earlier, "job.py"], cwd=place, check=True)
    service = subprocess.Popen([sys.executable, "-c", SERVICE], cwd=place)
    try:
        wait_until((place / "service.pid").exists)
        yield place
    finally:
        service.kill()
        service.wait()


@pytest.mark.parametrize("command", [c for c in COMMANDS if not c.startswith("make")] + INLINE)
def test_the_command_works(command: str, workplace: Path) -> None:
    done = subprocess.run(
        command, shell=True, cwd=workplace, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_make_demo_names_the_report_and_the_line(tmp_path: Path) -> None:
    """`make demo` itself, in this environment and on a small backtest."""
    assert "make demo" in COMMANDS
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "memdeep").write_text(f'#!/bin/sh\nexec {sys.executable} -m memdeep "$@"\n')
    (venv / "bin" / "memdeep").chmod(0o755)
    (venv / ".installed-for-demo").touch()
    done = subprocess.run(
        ["make", "--no-print-directory", "demo", "VENV=venv", "DEMO_SIZE=--scale 0.02"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    # On 3.10 a dict of eleven keys is too large for arenas, so that its bytes are known alive.
    assert re.search(r"in 加载config, still (there|alive) at its\s+end", done.stderr)
    assert "Report: memdeep-runs/deepseek_backtest-" in done.stderr
    assert done.stdout.splitlines()[-1] == "Open it: venv/bin/memdeep open"


def test_the_set_up_for_the_demo_says_what_it_does_and_why_it_failed(tmp_path: Path) -> None:
    tools = tmp_path / "venv" / "bin"
    tools.mkdir(parents=True)
    (tools / "python").write_text("#!/bin/sh\necho Collecting x; sleep 4; echo broken; exit 3\n")
    (tools / "python").chmod(0o755)
    done = subprocess.run(
        [ROOT / "examples" / "set_up.sh", "python3", "venv"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    installing, waited, *log, last = done.stdout.splitlines()
    assert installing.startswith("Installing memdeep")
    assert waited.split() == ["3", "s", "Collecting", "x"]
    assert log == ["Collecting x", "broken"]
    assert last.startswith("That failed")


def test_make_test_runs_pytest() -> None:
    """Running `make test` within the tests would not end; that it leads here is enough."""
    assert "make test" in COMMANDS
    done = subprocess.run(["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert "-m pytest" in done.stdout


def test_the_python_example_works(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    program = tmp_path / "example.py"
    program.write_text(f"def load(): return []\n{example}\nvalidate()\n", "utf-8")
    run = [sys.executable, "-m", "memdeep", "run", "-o", str(tmp_path / "out"), str(program)]
    done = subprocess.run(run, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in ("加载config", "optimise", "validate"):
        assert name in done.stderr

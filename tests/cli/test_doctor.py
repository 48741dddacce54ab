"""`memdeep doctor` says what is there, what is missing, and what to do about it."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from running import RunMemdeep, environment, memdeep_command

import memdeep
from memdeep.heap.replay import engine as replaying
from memdeep.limits import cgroup_limit_bytes


def rows(output: bytes) -> dict[str, tuple[str, str]]:
    """State and finding of each check, by name."""
    found = {}
    for line in output.decode().split("\n\n")[0].splitlines():
        state, name, rest = line[:4].strip(), line[6:21].strip(), line[21:].strip()
        if state:
            found[name] = state, rest
    return found


def test_it_says_what_is_there(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    done = run_memdeep("doctor", env=environment(COLUMNS="80", XDG_CACHE_HOME=cache))
    assert (done.returncode, done.stderr) == (0, b"")
    found = rows(done.stdout)
    assert found["memdeep"] == ("ok", memdeep.__version__)
    assert found["Python"][1].startswith(platform.python_version())
    assert found["memray"] == ("ok", metadata.version("memray"))
    if replaying.is_built():
        assert found["engine"] == ("ok", "replay (compiled)")
    assert max(map(len, done.stdout.decode().splitlines())) <= 80
    assert not (tmp_path / "cache").exists()  # it only looks


def test_a_missing_memray_is_bad(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    hide = """
import importlib.metadata
real = importlib.metadata.version
def version(name):
    if name in ("memray", "lz4", "symbolic"):
        raise importlib.metadata.PackageNotFoundError(name)
    return real(name)
importlib.metadata.version = version
"""
    (tmp_path / "sitecustomize.py").write_text(hide)
    done = run_memdeep("doctor", env=environment(COLUMNS="80", PYTHONPATH=str(tmp_path)))
    assert done.returncode == 1
    assert rows(done.stdout)["memray"] == ("bad", "not installed")
    assert rows(done.stdout)["lz4"] == ("note", "not installed")
    assert rows(done.stdout)["symbols"] == ("note", "memray's resolver")
    assert "pip install memray" in done.stdout.decode()
    assert max(map(len, done.stdout.decode().splitlines())) <= 80


@pytest.mark.parametrize(
    ("engine", "state", "status"), [("memray", "note", 0), ("turbo", "bad", 1)]
)
def test_the_engine_that_is_asked_for(
    run_memdeep: RunMemdeep, engine: str, state: str, status: int
) -> None:
    done = run_memdeep("doctor", env=environment(MEMDEEP_ENGINE=engine))
    assert done.returncode == status
    assert rows(done.stdout)["engine"][0] == state


def test_limits_of_the_process() -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (3 << 30, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))

    command = memdeep_command("doctor")
    done = subprocess.run(command, capture_output=True, env=environment(), preexec_fn=limited)
    found = rows(done.stdout)
    if sys.platform == "linux":
        assert found["address space"] == ("note", "3.0 GB")
    assert found["open files"] == ("note", "100")
    assert "ulimit -n" in done.stdout.decode()


def test_a_cache_that_cannot_be_written(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    chosen = environment(XDG_CACHE_HOME=str(tmp_path / "file"))
    assert rows(run_memdeep("doctor", env=chosen).stdout)["cache"][0] == "note"


def group(root: Path, path: str, name: str, limit: str) -> None:
    directory = root / path
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_text(f"{limit}\n")


def test_the_lowest_limit_of_a_control_group_counts(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("0::/system/job\n")
    assert cgroup_limit_bytes(own, tmp_path) == (False, None)
    group(tmp_path, "system/job", "memory.max", "max")
    assert cgroup_limit_bytes(own, tmp_path) == (True, None)
    group(tmp_path, "system", "memory.max", "1048576")
    assert cgroup_limit_bytes(own, tmp_path) == (True, 1 << 20)


def test_the_first_version_of_control_groups(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("5:cpu,cpuacct:/a\n4:memory:/job\n")
    group(tmp_path, "memory", "memory.limit_in_bytes", str(2**63 - 4096))
    assert cgroup_limit_bytes(own, tmp_path) == (True, None)
    group(tmp_path, "memory/job", "memory.limit_in_bytes", "4096")
    assert cgroup_limit_bytes(own, tmp_path) == (True, 4096)


@pytest.mark.parametrize("content", ["", "nonsense", "0::", ":::::", "0::/../..\n"])
def test_a_control_group_that_is_none(tmp_path: Path, content: str) -> None:
    own = tmp_path / "own"
    own.write_text(content)
    assert cgroup_limit_bytes(own, tmp_path / "root") == (False, None)
    assert cgroup_limit_bytes(tmp_path / "missing", tmp_path) == (False, None)

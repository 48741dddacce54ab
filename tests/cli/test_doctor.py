"""`memdeep doctor` says what is there, what is missing, and what to do about it."""

from __future__ import annotations

import importlib.util
import platform
import re
import resource
import shutil
import subprocess
import sys
from functools import partial
from importlib import metadata
from pathlib import Path

import libraries
import pytest
from cgroups import NO_LIMIT_OF_VERSION_1, VERSION_1, VERSION_2, Machine
from libraries import needs_compiler
from running import ROOT, RunMemdeep, environment, memdeep_command

import memdeep
from memdeep.cli import doctor
from memdeep.cli.doctor import Check, State
from memdeep.heap.replay import engine as replaying
from memdeep.model import MemoryLimit
from memdeep.model.statement import state
from memdeep.run import cgroup
from memdeep.run.supervise import Bounds
from memdeep.symbols import cache
from memdeep.symbols.tables import build_id
from memdeep.text.units import size

MB = 1 << 20


def rows(output: bytes) -> dict[str, tuple[str, str]]:
    """State and finding of each check, by name."""
    found = {}
    for line in output.decode().split("\n\n")[0].splitlines():
        state, name, rest = line[:4].strip(), line[6:21].strip(), line[21:].strip()
        if state:
            found[name] = state, rest
    return found


def test_it_says_what_is_there(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    place = str(tmp_path / "cache")
    done = run_memdeep("doctor", env=environment(COLUMNS="80", XDG_CACHE_HOME=place))
    assert (done.returncode, done.stderr) == (0, b"")
    found = rows(done.stdout)
    assert found["memdeep"] == ("ok", memdeep.__version__)
    assert found["Python"][1].startswith(platform.python_version())
    assert found["memray"] == ("ok", metadata.version("memray"))
    if replaying.is_built():
        assert found["engine"] == ("ok", "replay (compiled)")
    assert max(map(len, done.stdout.decode().splitlines())) <= 80
    assert not (tmp_path / "cache").exists()  # it only looks


HIDE = """
import importlib.metadata, sys
HIDDEN = {names}
real = importlib.metadata.version
def version(name):
    if name in HIDDEN:
        raise importlib.metadata.PackageNotFoundError(name)
    return real(name)
importlib.metadata.version = version
class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nowhere())
"""


def without(tmp_path: Path, *names: str) -> dict[str, str]:
    """An environment in which these distributions are not installed."""
    (tmp_path / "sitecustomize.py").write_text(HIDE.format(names=names))
    return environment(COLUMNS="80", PYTHONPATH=str(tmp_path))


def test_a_missing_memray_is_bad(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    done = run_memdeep("doctor", env=without(tmp_path, "memray", "lz4", "symbolic"))
    assert (done.returncode, done.stderr) == (1, b"")
    assert rows(done.stdout)["memray"] == ("bad", "not installed")
    assert rows(done.stdout)["lz4"] == ("note", "not installed")
    assert rows(done.stdout)["symbols"] == ("note", "memray's resolver")
    assert "Without it, memray's reader reads captures" in done.stdout.decode()
    *above, command = done.stdout.decode().splitlines()
    assert max(map(len, above)) <= 80
    assert "-m pip install 'memray>=1.19' 'lz4>=4.3'" in command  # in one piece
    assert "'symbolic" in command


def test_it_speaks_the_language_of_the_terminal(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    hidden = without(tmp_path, "memray", "lz4", "psutil")
    done = run_memdeep("doctor", env={**hidden, "LC_ALL": "zh_CN.UTF-8"})
    assert (done.returncode, done.stderr) == (1, b"")
    text = done.stdout.decode()
    for words in (
        "没有安装：psutil",
        "没有它们就不能生成报告。",
        "用下面的命令安装缺少的部分：",
        "地址空间",
    ):
        assert words in text
    assert not re.search("not installed|limit|cache  |symbols  ", text)


@pytest.mark.parametrize("name", ["rich", "psutil", "jinja2", "markupsafe", "platformdirs"])
def test_a_missing_library_is_bad(run_memdeep: RunMemdeep, tmp_path: Path, name: str) -> None:
    done = run_memdeep("doctor", env=without(tmp_path, name))
    assert (done.returncode, done.stderr) == (1, b"")
    assert rows(done.stdout)["libraries"] == ("bad", f"not installed: {name}")
    assert done.stdout.decode().endswith(f"-m pip install {name}\n")


def test_the_libraries_are_those_that_memdeep_requires() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    listed = project.partition("\ndependencies = [")[2].partition("]")[0]
    names = {*re.findall(r'"([\w-]+)', listed)} - {"memray"}
    assert {*doctor.LIBRARIES, "tomli"} == names
    extra = project.partition("\nsymbols = [")[2].partition("]")[0]
    assert {*doctor.OF_SYMBOLS} == {*re.findall(r'"([\w-]+)', extra)}


def test_the_command_suits_how_memdeep_was_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = (Check("a", "", State.BAD, "", ("a>=1", "b")), Check("b", "", State.BAD, "", ("b",)))
    assert doctor.mend((Check("a", "there"),)) == ""
    monkeypatch.setattr(sys, "executable", "/opt/my python")
    assert doctor.mend(missing) == "'/opt/my python' -m pip install 'a>=1' b"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: "/bin/uv" if name == "uv" else None)
    assert doctor.mend(missing) == "uv pip install --python '/opt/my python' 'a>=1' b"
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert doctor.mend(missing).startswith("'/opt/my python' -m ensurepip && ")
    (tmp_path / "pipx_metadata.json").touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert doctor.mend(missing) == "pipx inject memdeep 'a>=1' b"


def test_a_missing_platformdirs_is_bad(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    done = run_memdeep("doctor", env=without(tmp_path, "platformdirs"))
    assert (done.returncode, done.stderr) == (1, b"")
    assert rows(done.stdout)["cache"][0] == "bad"


def test_the_cache_it_names_is_that_of_the_symbols(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "user_cache_path", lambda name, **_: tmp_path / "caches" / name)
    assert told()["cache"] == str(tmp_path / "caches" / "memdeep")


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
        assert found["address space"] == ("note", "3.00 GB")
    assert found["open files"] == ("note", "100")
    assert "ulimit -n" in done.stdout.decode()


def test_a_cache_that_cannot_be_written(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    chosen = environment(XDG_CACHE_HOME=str(tmp_path / "file"))
    assert rows(run_memdeep("doctor", env=chosen).stdout)["cache"][0] == "note"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine whose control groups are mounted elsewhere than at /sys/fs/cgroup."""
    made = Machine(tmp_path)
    monkeypatch.setattr(cgroup, "own", partial(cgroup.own, proc=made.proc))
    return made


def told() -> dict[str, str]:
    return {check.name: check.found for check in doctor.checks()}


@pytest.mark.parametrize(
    ("cgroups", "mounts", "file"),
    [
        ("0::/job\n", VERSION_2, "memory.max"),
        ("4:memory:/job\n0::/\n", VERSION_1, "memory.limit_in_bytes"),
    ],
    ids=["version 2", "version 1"],
)
def test_it_tells_the_limit_that_a_run_meets(
    machine: Machine, cgroups: str, mounts: str, file: str
) -> None:
    machine.says(cgroups, mounts)
    machine.group("job", **{file: str(64 * MB)})
    with Bounds(None) as bounds:
        assert bounds.limit == MemoryLimit(64 * MB, state("limit.cgroup", file=file))
    assert told()["cgroup limit"] == "64.0 MB"
    assert told()["memory limit"] == f"64.0 MB ({file} of its cgroup)"


@pytest.mark.parametrize("limit", [NO_LIMIT_OF_VERSION_1, str(1 << 61), str(1 << 60)])
def test_it_takes_a_limit_for_none_as_a_run_does(machine: Machine, limit: str) -> None:
    machine.says("4:memory:/job\n", VERSION_1)
    machine.group("job", memory__limit_in_bytes=limit)
    with Bounds(None) as bounds:
        assert bounds.limit is not None
        assert not bounds.limit.source.key.endswith("cgroup")
    assert told()["cgroup limit"] == "none"
    assert told()["memory limit"].startswith(size(bounds.limit.bytes))


def test_the_lowest_limit_of_a_control_group_counts(machine: Machine) -> None:
    machine.says("0::/system/job\n", VERSION_2)
    assert told()["cgroup limit"] == "none that can be read"
    machine.group("system/job", memory__max="max\n")
    assert told()["cgroup limit"] == "none"
    machine.group("system", memory__max="1048576\n")
    assert told()["cgroup limit"] == "1.0 MB"
    assert told()["memory limit"] == "1.0 MB (memory.max of the cgroup system around it)"


def test_the_first_version_of_control_groups(machine: Machine) -> None:
    machine.says("5:cpu,cpuacct:/a\n4:memory:/job\n", VERSION_1)
    machine.group("", memory__limit_in_bytes=f"{NO_LIMIT_OF_VERSION_1}\n")
    assert told()["cgroup limit"] == "none"
    machine.group("job", memory__limit_in_bytes="4096\n")
    assert told()["cgroup limit"] == "4.0 KB"


@pytest.mark.parametrize("content", ["", "nonsense", "0::", ":::::", "0::/../..\n"])
@pytest.mark.parametrize("mounts", ["", VERSION_2])
def test_a_control_group_that_is_none(machine: Machine, content: str, mounts: str) -> None:
    assert told()["cgroup limit"] == "none that can be read"
    machine.says(content, mounts)
    assert told()["cgroup limit"] == "none that can be read"
    assert told()["memory limit"].endswith("of the system)")


@needs_compiler
def test_an_interpreter_without_symbols_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless they lie beside it, or a server is asked for them."""
    library = libraries.build(tmp_path)
    monkeypatch.delenv("DEBUGINFOD_URLS", raising=False)
    monkeypatch.setattr(doctor, "DEBUG_FILES", tmp_path)
    monkeypatch.setattr(doctor, "interpreter_file", lambda: library)
    assert told()["interpreter"] == f"{library}, with symbols"
    libraries.run("strip", library)
    stripped = next(check for check in doctor.checks() if check.name == "interpreter")
    assert (stripped.found, stripped.state) == (f"{library}, stripped", State.NOTE)
    monkeypatch.setenv("DEBUGINFOD_URLS", "http://localhost:1")
    assert "debuginfod" in told()["interpreter"]
    build = build_id(library)
    assert build is not None
    (tmp_path / build[:2]).mkdir()
    (tmp_path / build[:2] / f"{build[2:]}.debug").touch()
    assert told()["interpreter"] == f"{library}, with symbols"
    library.write_text("no ELF file")
    assert "interpreter" not in told()

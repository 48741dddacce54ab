"""The processes that a program starts are recorded, however it does that, and run as ever."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
from memray import FileReader
from running import PROGRAMS, Completed, RunMemdeep, environment, memdeep_command, read_json

from memdeep.rundir import births, journal
from memdeep.rundir.births import Birth, Ended, Origin, Started
from memdeep.rundir.directory import RunDirectory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are another's there")

PROGRAM = PROGRAMS / "starts_processes.py"
LEAST, STEP = 33_000_000, 4096
CASES = re.findall(r'^    "(.+)": ', PROGRAM.read_text("utf-8"), re.MULTILINE)
TIMEOUT_S = 120.0


class Tree:
    """The processes of a run, as the run directory tells of them."""

    def __init__(self, path: Path) -> None:
        self.run_dir = RunDirectory(path)
        self.lines, damaged = births.decode(self.run_dir.births.read_bytes())
        assert damaged == 0

    @cached_property
    def births(self) -> list[Birth]:
        return [line for line in self.lines if isinstance(line, Birth)]

    @cached_property
    def largest(self) -> dict[int, str]:
        """The directories of the processes, by the size of their largest allocation."""
        found = {}
        for child in self.run_dir.children():
            if child.capture().exists():
                reader = FileReader(child.capture())
                records = reader.get_high_watermark_allocation_records(merge_threads=True)
                found[max(record.size for record in records)] = child.path.name
        return found

    def birth_of(self, size: int) -> Birth:
        """The birth of the process that allocated a block of ``size`` bytes."""
        sizes = {exact - exact % STEP: name for exact, name in self.largest.items()}
        (birth,) = [one for one in self.births if one.directory == sizes[size - size % STEP]]
        return birth

    def stack(self, birth: Birth) -> Sequence[tuple[str, str, int]]:
        """Where the process, or the nearest of its ancestors that is known, was started."""
        for pid, _ in birth.ancestors:
            for line in reversed(self.lines[: self.lines.index(birth) + 1]):
                if isinstance(line, Birth) and line.pid == pid and line.how == births.FORK:
                    return self._origin(line.parent_pid, line.origin)
                if isinstance(line, Started) and line.pid == pid:
                    return self._origin(line.by, line.origin)
                if isinstance(line, Started) and (line.pid, line.by) == (births.UNKNOWN, pid):
                    return self._origin(line.by, line.origin)
        return ()

    def _origin(self, pid: int, number: int | None) -> Sequence[tuple[str, str, int]]:
        (found,) = [
            line
            for line in self.lines
            if isinstance(line, Origin) and (line.pid, line.number) == (pid, number)
        ]
        return found.frames

    def status(self, pid: int) -> int | None:
        """The last status of the process ``pid`` that is known."""
        known = [line.status for line in self.lines if isinstance(line, Ended) and line.pid == pid]
        return known[-1] if known else None


@dataclass(frozen=True)
class Matrix:
    plain: Completed
    recorded: Completed
    tree: Tree


def start(
    work: Path, *words: object, options: Sequence[str] = (), plain: bool = False
) -> Completed:
    """Run a Python with ``words`` in ``work``, by `memdeep run -o run` unless it is ``plain``."""
    command = [sys.executable, *map(str, words)]
    if not plain:
        given = ("run", "--quiet", "--no-report", "--no-native", "--force", "-o", "run")
        command = memdeep_command(*given, *options, *words)
    return subprocess.run(
        command, cwd=work, env=environment(), capture_output=True, timeout=TIMEOUT_S, check=False
    )


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    work = tmp_path_factory.mktemp("matrix")
    plain = start(work, PROGRAM, plain=True)
    recorded = start(work, PROGRAM)
    yield Matrix(plain, recorded, Tree(work / "run"))


def test_the_program_and_its_processes_see_and_do_the_same(matrix: Matrix) -> None:
    assert matrix.plain.returncode == 0, matrix.plain.stderr.decode()
    assert matrix.recorded.stderr.decode() == matrix.plain.stderr.decode()
    assert matrix.recorded.stdout.decode() == matrix.plain.stdout.decode()
    assert matrix.recorded.returncode == matrix.plain.returncode


@pytest.mark.parametrize("case", CASES)
def test_every_process_is_recorded_and_its_line_known(matrix: Matrix, case: str) -> None:
    birth = matrix.tree.birth_of(LEAST + STEP * CASES.index(case))
    is_fork = case.startswith("fork") or case.endswith((" fork", "forkserver"))
    assert birth.how == (births.FORK if is_fork and case != "fork+exec" else births.EXEC)
    assert birth.python == ".".join(map(str, sys.version_info[:3]))
    stack = matrix.tree.stack(birth)
    files = [Path(filename).name for _, filename, _ in stack]
    assert "memdeep" not in str(files)
    if "forkserver" in case:
        assert "forkserver.py" in files
        return
    if case == "nested":
        assert stack[-1] == ("<module>", "<string>", 1)
        return
    source = PROGRAM.read_text("utf-8").splitlines()
    lines = [source[line - 1] for _, filename, line in stack if filename == str(PROGRAM)]
    if case == "Pool fork":  # by a method of the executor's, or by a thread of its
        return
    named = [line for line in lines if line.startswith(f'    "{case}": ')]
    calls = {
        "posix_spawn": "os.posix_spawn(",
        "fork+exec": "os.execv(",
        "fork in thread": "forked(size)",
    }
    assert named or any(calls[case] in line for line in lines), lines


@pytest.mark.parametrize(
    ("case", "status"),
    [
        *(("killed", -9), ("_exit", 3), ("raises", 1), ("aborts", -6), ("script", 0)),
        *(("fork", 3), ("fork killed", -9), ("fork aborts", -6), ("fork in fork", 3)),
        *(("Process fork", 0), ("Process spawn", 0), ("asyncio", 0), ("posix_spawn", 0)),
    ],
)
def test_how_it_ended_is_known(matrix: Matrix, case: str, status: int) -> None:
    birth = matrix.tree.birth_of(LEAST + STEP * CASES.index(case))
    assert matrix.tree.status(birth.pid) == status


def test_a_program_that_becomes_another_is_recorded_anew(matrix: Matrix) -> None:
    birth = matrix.tree.birth_of(LEAST - STEP)
    events, damaged = journal.decode(matrix.tree.run_dir.journal.read_bytes())
    assert damaged == 0
    assert (birth.pid, birth.how) == (events[0].pid, births.EXEC)
    assert (
        "os.execv(" in PROGRAM.read_text("utf-8").splitlines()[matrix.tree.stack(birth)[0][2] - 1]
    )


def test_helpers_are_not_recorded(matrix: Matrix) -> None:
    trackers = [one for one in matrix.tree.births if "resource_tracker" in str(one.command)]
    assert trackers
    assert {one.directory for one in trackers} == {None}


def run(tmp_path: Path, source: str, *options: str, words: Sequence[str] = ()) -> Tree:
    """Record ``source``; its output must be as under plain `python`."""
    (tmp_path / "program.py").write_text(source)
    plain = start(tmp_path, "program.py", *words, plain=True)
    recorded = start(tmp_path, "program.py", *words, options=options)
    assert recorded.stderr.decode() == plain.stderr.decode()
    assert recorded.stdout.decode() == plain.stdout.decode()
    assert recorded.returncode == plain.returncode
    return Tree(tmp_path / "run")


FORKS = """\
import os, sys, threading
for number in range(4):
    pid = os.fork()
    if not pid:
        block = bytearray(33_000_000)
        print(sys.getprofile(), threading._profile_hook, flush=True)
        os._exit(number)
    print(os.waitpid(pid, 0)[1] >> 8, flush=True)
"""


@pytest.mark.parametrize(
    ("options", "recorded"),
    [
        (("--most-children", "2"), 2),
        (("--most-children", "0"), 0),
        (("--children", "none"), 0),
        (("--focus", "nothing"), 0),
        (("--backend", "rss"), 0),
        (("--backend", "tracemalloc"), 0),
    ],
    ids=str,
)
def test_forks_that_are_not_recorded_run_plainly(
    tmp_path: Path, options: tuple[str, ...], recorded: int
) -> None:
    (tmp_path / "program.py").write_text(FORKS)
    assert start(tmp_path, "program.py", options=options).stdout.count(b"None None") == 4 - recorded
    tree = Tree(tmp_path / "run")
    assert len(tree.births) == 4
    assert sum(one.directory is not None for one in tree.births) == recorded
    assert [tree.status(one.pid) for one in tree.births][:recorded] == [*range(recorded)]
    assert {tree.stack(one)[0][2] for one in tree.births} == {3}
    assert list((tmp_path / "run").glob("capture.bin.*")) == []
    assert len([line for line in tree.lines if isinstance(line, Origin)]) == 1


AT_ONCE = """
import os, time
begin_s = time.monotonic() + 1
branches = [os.fork() for _ in range(4)]  # so sixteen processes fork at one time
while time.monotonic() < begin_s:
    pass
for _ in range(3):
    if not (pid := os.fork()):
        os._exit(0)
    os.waitpid(pid, 0)
for pid in branches:
    if pid:
        os.waitpid(pid, 0)
if 0 not in branches:
    print(len(branches))
"""


@pytest.mark.parametrize("most", [7, 25])
def test_of_many_forks_at_once_no_more_than_that_are_recorded(tmp_path: Path, most: int) -> None:
    (tmp_path / "program.py").write_text(AT_ONCE)
    options = ("--most-children", str(most))
    assert start(tmp_path, "program.py", options=options).stdout == b"4\n"
    tree = Tree(tmp_path / "run")
    assert len(tree.births) == 15 + 48
    assert sum(one.directory is not None for one in tree.births) == most
    assert len(tree.run_dir.children()) == most


def test_a_process_that_becomes_another_program_counts_once(tmp_path: Path) -> None:
    """A third program that it becomes counts anew, so that there is an end."""
    source = """
import os, sys
for number in range(3):
    if not (pid := os.fork()):
        os.execv(sys.executable, [sys.executable, "-c", "block = bytearray(33_000_000)"])
    print(os.waitpid(pid, 0)[1])
"""
    tree = run(tmp_path, source, "--most-children", "2")
    kinds = [(one.how, one.directory is not None) for one in tree.births]
    recorded = [(births.FORK, True), (births.EXEC, True)]
    assert kinds == [*recorded, *recorded, (births.FORK, False), (births.EXEC, False)]


def test_only_commands_that_match_are_recorded(tmp_path: Path) -> None:
    for name in ("worker_a", "worker_b", "other"):
        (tmp_path / f"{name}.py").write_text("block = bytearray(33_000_000)\n")
    source = "import subprocess, sys\nfor name in sys.argv[1:]:\n    "
    source += "subprocess.run([sys.executable, name])\n"
    names = ["worker_a.py", "other.py", "worker_b.py"]
    tree = run(tmp_path, source, "--children", "worker_*", words=names)
    recorded = {one.command[-1]: one.directory is not None for one in tree.births}
    assert recorded == {"worker_a.py": True, "other.py": False, "worker_b.py": True}


def test_a_forked_child_has_phases_of_its_own(tmp_path: Path) -> None:
    tree = run(
        tmp_path,
        "import os, sys\n"
        "from memdeep import phase\n"
        "with phase('parents'), phase('both'):\n"
        "    pid = os.fork()\n"
        "    if not pid:\n"
        "        with phase('childs'):\n"
        "            block = bytearray(33_000_000)\n"
        "if not pid:\n"
        "    sys.exit(5)\n"
        "print(os.waitpid(pid, 0)[1] >> 8)\n",
    )
    (child,) = tree.run_dir.children()
    found = []
    for directory in (tree.run_dir, child):
        events, damaged = journal.decode(directory.journal.read_bytes())
        assert damaged == 0
        found.append([f"{one.kind}{one.label}" for one in events if one.kind in "BEX"])
    assert found == [["Bparents", "Bboth", "Eboth", "Eparents", "X"], ["Bchilds", "Echilds", "X"]]
    assert tree.status(tree.births[0].pid) == 5


@pytest.mark.parametrize("options", [(), ("--children", "none"), ("--most-children", "0")])
def test_a_child_may_start_a_tracker_of_its_own(tmp_path: Path, options: tuple[str, ...]) -> None:
    (tmp_path / "program.py").write_text(
        "import os, memray\n"
        "pid = os.fork()\n"
        "if not pid:\n"
        "    with memray.Tracker('own.bin'):\n"
        "        block = bytearray(33_000_000)\n"
        "    os._exit(0)\n"
        "print(os.waitpid(pid, 0)[1])\n"
    )
    assert start(tmp_path, "program.py", options=options).stdout == b"0\n"
    records = FileReader(tmp_path / "own.bin").get_high_watermark_allocation_records()
    assert max(record.size for record in records) > 33_000_000


def test_modules_beside_the_script_of_a_child_are_found_first(tmp_path: Path) -> None:
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "dataclasses.py").write_text("FOUND = 'beside'\n")
    (tmp_path / "beside" / "script.py").write_text("import dataclasses\nprint(dataclasses.FOUND)\n")
    source = "import os, subprocess, sys\nos.chdir('beside')\n"
    for words in ("'script.py'", "'-m', 'script'", "'-c', 'import script'"):
        source += f"subprocess.run([sys.executable, {words}])\n"
    assert len(run(tmp_path, source).run_dir.children()) == 3


def test_redacted_commands_have_no_arguments(tmp_path: Path) -> None:
    (tmp_path / "script.py").touch()
    source = "import subprocess, sys\n"
    for words in ("'script.py', 'secret'", "'-c', '0#secret'", "'-Ic0#secret'", "'-m', 'this'"):
        source += f"subprocess.run([sys.executable, {words}], stdout=subprocess.DEVNULL)\n"
    tree = run(tmp_path, source, "--redact-args")
    assert [one.command[1:] for one in tree.births] == [
        *(("script.py",), ("-c",), ("-Ic",), ("-m",)),
    ]
    assert b"secret" not in tree.run_dir.births.read_bytes()


def test_tracebacks_of_interrupted_waits_are_plain(tmp_path: Path) -> None:
    waits = {
        "waitpid": "os.waitpid(pid, 0)",
        "wait": "os.wait()",
        "waitid": "os.waitid(os.P_PID, pid, os.WEXITED)",
        "wait4": "os.wait4(pid, 0)",
    }
    source = (
        "import os, signal, time, traceback\n"
        "def interrupt(*_):\n    raise KeyboardInterrupt\n"
        "signal.signal(signal.SIGALRM, interrupt)\n"
        "pid = os.fork()\n"
        "if not pid:\n    time.sleep(60)\n"
    )
    for call in waits.values():
        source += "signal.setitimer(signal.ITIMER_REAL, 0.1)\n"
        source += f"try:\n    {call}\nexcept KeyboardInterrupt:\n    traceback.print_exc()\n"
    for call in ("os.execve('no/such', ['a'], {})", "os.posix_spawn('no/such', ['a'], {})"):
        source += f"try:\n    {call}\nexcept OSError:\n    traceback.print_exc()\n"
    source += "os.kill(pid, 9)\nprint(os.waitpid(pid, 0)[1])\nos.waitpid(pid, 0)\n"
    tree = run(tmp_path, source)
    assert [tree.status(one.pid) for one in tree.births] == [-9]


def test_no_more_processes_are_recorded_once_the_parent_has_stopped_tracing(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import os, subprocess, sys, time\n"
        "child = [sys.executable, '-c', 'pass']\n"
        "subprocess.run(child)\n"
        "while os.path.exists('run/how'):\n"
        "    kept = [bytes(600 + n % 99) for n in range(10_000)]\n"
        "subprocess.run(child)\n"
        "pid = os.fork()\n"
        "if not pid:\n    os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
    )
    assert start(tmp_path, "program.py", options=("--max-capture", "1M")).returncode == 0
    tree = Tree(tmp_path / "run")
    assert [(one.how, one.directory is not None) for one in tree.births] == [
        (births.EXEC, True),
        (births.FORK, False),
    ]


COMPUTES = """
import os, time
def compute(count):
    return count if count < 2 else compute(count - 1) + compute(count - 2)
for _ in range(3):
    pid = os.fork()
    if not pid:
        compute(28)
        os.write(1, b"%f\\n" % time.process_time())
        os._exit(0)
    os.waitpid(pid, 0)
"""


@pytest.mark.parametrize("options", [("--children", "none"), ("--most-children", "0")], ids=str)
def test_forks_that_are_not_recorded_run_as_fast_as_ever(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    """With memray's profile function in place they took three times as long."""
    (tmp_path / "program.py").write_text(COMPUTES)
    for _ in range(3):  # another process may be in the way
        plain = start(tmp_path, "program.py", plain=True)
        recorded = start(tmp_path, "program.py", options=options)
        fastest = [min(map(float, one.stdout.split())) for one in (recorded, plain)]
        if fastest[0] < 1.5 * fastest[1]:
            return
    pytest.fail(f"{fastest[0]} s of processor time instead of {fastest[1]} s")


def test_the_peak_of_a_process_that_was_gone_at_once_is_the_runs(
    tmp_path: Path, run_memdeep: RunMemdeep
) -> None:
    """No look from outside has met it: it lived for milliseconds."""
    (tmp_path / "worker.py").write_text("block = bytearray(84_000_000)\ndel block\n")
    source = "import subprocess, sys\nfrom memdeep import phase\nwith phase('load'):\n"
    source += "    subprocess.run([sys.executable, 'worker.py'], check=True)\n"
    (tmp_path / "program.py").write_text(source)
    words = ("run", "--quiet", "--no-native", "-o", "run", "program.py")
    assert run_memdeep(*words, cwd=tmp_path).returncode == 0
    report = read_json(tmp_path / "run" / "report.json")
    (phase,) = (one for one in report["phases"] if one["name"] == "load")
    assert report["peak_heap_bytes"] >= phase["peak_heap_bytes"] >= 84_000_000
    frame = report["frames"][report["stacks"][phase["peak_culprits"][0]["stack"]][-1]]
    assert (Path(frame["filename"]).name, frame["lineno"]) == ("worker.py", 1)

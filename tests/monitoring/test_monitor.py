"""The drop-in monitor in real programs: alone under python, and with markers under memdeep run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from running import TIMEOUT_S, Completed, environment, memdeep_command

from memdeep.rundir import journal

SNIPPET_LOG = "memory_monitor_deepseek_20251120_103045.log"
TIME = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\]"
SIZE = r"\d+\.\d\dMB"
CHANGE = r"[+-]\d+\.\d\dMB"
CHECKPOINT = re.compile(
    rf"{TIME} \[(INFO|WARNING|CRITICAL)\] \[(.*)\] RSS={SIZE} \(Δ{CHANGE}, {CHANGE}\)(?: (.*))?"
)
BACKGROUND = re.compile(rf"{TIME} \[后台监控\] RSS={SIZE} \(Δ{CHANGE}\)")

FAMILY = re.compile(r" +(\d+) +(\d+\.\d\d)MB +(\d+\.\d\d)MB +(\d+\.\d\d)MB +(\d+)  (\w+) +(\S.*)")

Python = Callable[..., Completed]


@pytest.fixture
def python(work: Path) -> Python:
    """Runs plain `python ARGS` in ``work``."""

    def run(*args: object, **options: object) -> Completed:
        command = [sys.executable, *map(str, args)]
        env = options.pop("env", environment())
        return subprocess.run(
            command, cwd=work, env=env, capture_output=True, timeout=TIMEOUT_S, **options
        )

    return run


@pytest.fixture
def code(python: Python) -> Python:
    """Runs the dedented code with `python -c`, after a line that imports the names."""

    def run(text: str, *args: object, before: str = "", **options: object) -> Completed:
        source = f"{before}\nfrom memory_monitor import *\n{textwrap.dedent(text)}"
        return python("-c", source, *args, **options)

    return run


@pytest.fixture(params=["python", "memdeep run"])
def either(request: pytest.FixtureRequest, work: Path, python: Python) -> Python:
    """Runs a program both plainly and under `memdeep run`, whose output goes into ``work/d``."""
    if request.param == "python":
        return python

    def run(*args: object, **options: object) -> Completed:
        words = ("run", "--quiet", "--no-report", "--no-native", "-o", "d", *args)
        env = options.pop("env", environment())
        return subprocess.run(
            memdeep_command(*words),
            cwd=work,
            env=env,
            capture_output=True,
            timeout=TIMEOUT_S,
            **options,
        )

    return run


def clean(done: Completed) -> str:
    """The stdout of a program that went well and complained of nothing."""
    assert (done.returncode, done.stderr.decode()) == (0, "")
    return done.stdout.decode()


def lines(path: Path) -> list[str]:
    text = path.read_text("utf-8")
    assert text.endswith("\n")
    return text.splitlines()


def labels(path: Path) -> list[str]:
    """The labels of the checkpoints in the log at ``path``."""
    return [match[2] for match in map(CHECKPOINT.fullmatch, lines(path)) if match]


def told(run_dir: Path) -> list[str]:
    """The program's own events in the journal of a run, as kind and label."""
    events, damaged = journal.decode((run_dir / "journal.jsonl").read_bytes())
    assert damaged == 0
    own = (journal.POINT, journal.BEGIN, journal.END)
    return [f"{event.kind} {event.label}" for event in events if event.kind in own]


# The integration that users have.


def test_the_integration_runs_unchanged(either: Python, work: Path) -> None:
    report = clean(either("monitor_snippet.py"))
    matches = [CHECKPOINT.fullmatch(line) for line in lines(work / SNIPPET_LOG)]
    assert [(match[2], match[3]) for match in matches if match] == [
        ("加载config_AFTER", "config大小估计~512KB"),
        ("加载大型数据_START", None),
        ("加载大型数据_END", None),
        ("phase3_optimizer_START", None),
        ("phase3_optimizer_END", None),
    ]
    assert all(matches)
    grown = re.search(rf"\((?:Δ{CHANGE}), \+(\d+)", lines(work / SNIPPET_LOG)[2])
    assert grown is not None
    assert 19 <= int(grown[1]) <= 21
    assert "内存监控报告: deepseek_backtest" in report
    assert re.search(r"首要嫌疑: 加载大型数据_END \(\+\d", report)
    if (work / "d").exists():
        assert told(work / "d") == [
            "C 加载config_AFTER",
            "B 加载大型数据",
            "E 加载大型数据",
            "B phase3_optimizer",
            "E phase3_optimizer",
        ]


def test_a_module_of_the_users_own_wins(either: Python, work: Path) -> None:
    (work / "memory_monitor.py").write_text("mine = 'my own'\n")
    (work / "program.py").write_text("import memory_monitor\nprint(memory_monitor.mine)\n")
    assert clean(either("program.py")) == "my own\n"


def test_both_homes_have_the_same_names(code: Python) -> None:
    done = code(
        """
        import memory_monitor, memdeep, memdeep.monitor
        assert sorted(memory_monitor.__all__) == sorted(memdeep.monitor.__all__)
        assert set(memdeep.monitor.__all__) <= set(memdeep.__all__) & set(dir(memdeep))
        assert memdeep.memory_checkpoint is memory_checkpoint
        assert memdeep.monitor.memory_context is memory_context
        assert memdeep.init_global_monitor is memdeep.monitor.init_global_monitor
        from memdeep import *
        """
    )
    assert clean(done) == ""


def test_without_a_monitor_there_is_only_the_marker(either: Python, work: Path) -> None:
    (work / "program.py").write_text(
        textwrap.dedent(
            """
            from memdeep import get_global_monitor, memory_checkpoint, memory_context
            import threading
            before = threading.active_count()
            memory_checkpoint("early", "note")
            with memory_context("span"):
                pass
            assert get_global_monitor() is None
            assert threading.active_count() == before
            """
        )
    )
    names = {path.name for path in work.iterdir()}
    assert clean(either("program.py")) == ""
    assert {path.name for path in work.iterdir()} - names <= {"d"}
    if (work / "d").exists():
        assert told(work / "d") == ["C early", "B span", "E span"]


def test_it_imports_little(python: Python) -> None:
    text = (
        "import sys, memory_monitor; memory_monitor.init_global_monitor(log_file='x.log')"
        ".generate_report(); heavy = {'logging', 'psutil', 'memray', 'rich', 'json', 'dataclasses',"
        "'typing', 'pathlib', 'inspect'}; print(sorted(heavy & set(sys.modules)))"
    )
    assert clean(python("-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {text}")) == "[]\n"


# What is left after the worst.


@pytest.mark.parametrize("under_memdeep", [False, True])
def test_after_a_kill_the_last_line_is_the_last_checkpoint(work: Path, under_memdeep: bool) -> None:
    words = ("run", "--quiet", "--no-report", "--no-native", "-o", "d", "monitor_waits.py")
    command = memdeep_command(*words) if under_memdeep else [sys.executable, "monitor_waits.py"]
    with subprocess.Popen(
        command, cwd=work, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        if under_memdeep:
            events, _ = journal.decode((work / "d/journal.jsonl").read_bytes())
            assert events[0].pid is not None
            os.kill(events[0].pid, 9)
        else:
            process.kill()
        process.wait(TIMEOUT_S)
    match = CHECKPOINT.fullmatch(lines(work / "logs/waits.log")[-1])
    assert match is not None
    assert (match[2], match[3]) == ("加载config_BEFORE", "the last one reached")


@pytest.mark.parametrize("log_file", ["/dev/full", "small.log"])
@pytest.mark.parametrize("max_bytes", [0, 10**9])
def test_a_full_disk_leaves_the_program_running(
    code: Python, log_file: str, max_bytes: int
) -> None:
    done = code(
        f"""
        import resource, time
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
        monitor = init_global_monitor(log_file={log_file!r}, max_bytes={max_bytes},
                                      warning_threshold_mb=1, check_interval=0.01)
        for number in range(100):
            memory_checkpoint(f"checkpoint {{number}}")
        time.sleep(0.05)
        assert "checkpoint 99" in monitor.generate_report()
        print("alive")
        """
    )
    assert (done.returncode, done.stdout) == (0, b"alive\n")
    (complaint,) = done.stderr.decode().splitlines()
    assert complaint.startswith("memdeep: the memory monitor cannot log: ")


def test_a_line_that_was_cut_is_not_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from memdeep.monitoring.log_file import AppendingLog

    log = AppendingLog(str(tmp_path / "log"))
    write = os.write
    room = [10]

    def write_some(fd: int, data: bytes) -> int:
        if room[0] == 0:
            raise OSError(28, "No space left on device")
        taken = write(fd, data[: room[0]])
        room[0] -= taken
        return taken

    monkeypatch.setattr(os, "write", write_some)
    for text in ("first line\n", "second line\n"):
        with pytest.raises(OSError, match="No space"):
            log.write(text)
    room[0] = 1000
    log.write("third line\n")
    log.write("fourth line\n")
    log.close()
    assert lines(tmp_path / "log") == ["first line", "third line", "fourth line"]


def test_a_log_that_cannot_be_opened_is_told_once(code: Python, work: Path) -> None:
    (work / "file").write_text("")
    done = code(
        """
        init_global_monitor(log_file="file/below.log", check_interval=0.01)
        memory_checkpoint("a")
        memory_checkpoint("b")
        print("alive")
        """
    )
    assert (done.returncode, done.stdout) == (0, b"alive\n")
    assert done.stderr.decode().count("\n") == 1


def test_hostile_labels_make_one_line_each(code: Python, work: Path) -> None:
    done = code(
        r"""
        init_global_monitor(log_file="hostile.log", check_interval=None, lang="en")
        texts = ["a\nb\r\n", "x" * 10_000, "\ud800\udfff", "\x00\x1b[2J\x85\u2028", "]["]
        for text in texts:
            memory_checkpoint(text, text)
            with memory_context(text):
                pass
        memory_checkpoint(None, 7)
        print(get_global_monitor().generate_report())
        """
    )
    clean(done)
    content = lines(work / "hostile.log")
    assert len(content) == 5 * 3 + 1
    assert all(CHECKPOINT.fullmatch(line) for line in content)
    assert "x" * 10_000 in content[3]


# A missing psutil.


def test_without_psutil_proc_is_read(code: Python, work: Path) -> None:
    done = code(
        """
        init_global_monitor(log_file="a.log", check_interval=0.01, warning_threshold_mb=1)
        memory_checkpoint("a")
        """,
        before="import sys; sys.modules['psutil'] = sys.modules['memray'] = None",
    )
    assert clean(done) == ""
    assert labels(work / "a.log") == ["a"]


def test_without_psutil_and_proc_the_system_call_is_used(code: Python, work: Path) -> None:
    done = code(
        """
        import resource
        monitor = init_global_monitor(log_file="a.log", check_interval=0.01)
        memory_checkpoint("a")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
        monitor.generate_report()
        """,
        before=(
            "import sys; sys.modules['psutil'] = None\n"
            "from memdeep.record import rss; rss.STATM = '/nowhere'\n"
        ),
    )
    highest_mb = int(clean(done)) / 1024**2
    told_mb = re.search(r"RSS=(\d+\.\d\d)MB", lines(work / "a.log")[0])
    assert told_mb is not None
    assert float(told_mb[1]) == pytest.approx(highest_mb, abs=2)


def test_a_size_that_nothing_tells_does_no_harm(code: Python, work: Path) -> None:
    done = code(
        """
        monitor = init_global_monitor(log_file="a.log", check_interval=0.01, warning_threshold_mb=1)
        memory_checkpoint("a")
        assert "RSS=?" in monitor.generate_report()
        """,
        before=(
            "import sys; sys.modules['psutil'] = sys.modules['resource'] = None\n"
            "from memdeep.record import rss; rss.STATM = '/nowhere'\n"
        ),
    )
    assert clean(done) == ""
    assert lines(work / "a.log")[0].endswith("[a] RSS=? (Δ?, ?)")


# Processes and threads.


def test_children_have_monitors_of_their_own(either: Python, work: Path) -> None:
    assert clean(either("monitor_children.py")) == "forked done\nspawned done\n"
    assert labels(work / "parent.log") == ["before the fork", "after the fork"]
    assert labels(work / "forked.log") == ["forked"]
    assert labels(work / "spawned.log") == ["spawned"]


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_the_report_of_a_parent_sums_up_its_childrens_monitors(either: Python, work: Path) -> None:
    report = clean(either("monitor_family.py"))
    found = {
        match[6]: match for match in map(FAMILY.fullmatch, report.splitlines()) if match is not None
    }
    assert list(found)[:2] == ["spawn", "forkserver"]
    assert {*found} == {"spawn", "forkserver", "fork", "killed", "grandchild", "silent"}
    for name, grown_mb in (("fork", 20), ("spawn", 60), ("forkserver", 40)):
        start, _, peak = map(float, found[name].group(2, 3, 4))
        assert grown_mb <= peak - start < grown_mb + 5
        assert found[name][5] == "3"
        assert found[name][7] == "after"
    assert (found["killed"][5], found["killed"][7]) == ("1", "子␉进程")
    assert found["silent"][5] == "0"
    assert len({match[1] for match in found.values()}) == 6
    assert labels(work / "fork.log") == ["before", "after", "freed"]


@pytest.mark.parametrize("max_bytes", [0, 20_000])
def test_threads_lose_nothing_and_mix_nothing(either: Python, work: Path, max_bytes: int) -> None:
    report = clean(either("monitor_threads.py", 2_000, max_bytes))
    logs = sorted(work.glob("threads.log*"))
    assert (len(logs) > 10) == bool(max_bytes)
    content = [line for log in logs for line in lines(log)]
    found = [match[2] for match in map(CHECKPOINT.fullmatch, content) if match]
    assert sorted(found) == sorted(f"{name} {n}" for name in "甲乙" for n in range(2_000))
    rest = [line for line in content if not CHECKPOINT.fullmatch(line)]
    assert all(BACKGROUND.fullmatch(line) for line in rest)
    assert len(rest) > 2
    assert "共 4000 个" in report
    if (work / "d").exists():
        assert len(told(work / "d")) == 4_000


def test_a_signal_handler_may_set_a_checkpoint(code: Python, work: Path) -> None:
    done = code(
        """
        import signal, time
        init_global_monitor(log_file="a.log", check_interval=0.01)
        signal.signal(signal.SIGALRM, lambda *_: memory_checkpoint("in the handler"))
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        enough = time.monotonic() + 0.3
        while time.monotonic() < enough or open("a.log").read().count("handler") <= 5:
            memory_checkpoint("in the program")
        signal.setitimer(signal.ITIMER_REAL, 0)
        """
    )
    assert clean(done) == ""
    found = labels(work / "a.log")
    assert len(found) == len(lines(work / "a.log"))
    assert found.count("in the handler") > 5


# The log.


def test_the_log_rotates(code: Python, work: Path) -> None:
    done = code(
        """
        init_global_monitor(log_file="a.log", check_interval=None, max_bytes=1000, backup_count=2)
        for number in range(50):
            memory_checkpoint(f"检查点{number:02}")
        """
    )
    assert clean(done) == ""
    names = sorted(path.name for path in work.glob("a.log*"))
    assert names == ["a.log", "a.log.1", "a.log.2"]
    assert all((work / name).stat().st_size <= 1000 for name in names)
    found = [label for name in reversed(names) for label in labels(work / name)]
    assert found == [f"检查点{number:02}" for number in range(50)][-len(found) :]
    assert len(found) > 20


def test_a_log_that_cannot_rotate_goes_on(code: Python, work: Path) -> None:
    (work / "a.log.1").mkdir()
    (work / "a.log.1" / "in the way").write_text("")
    done = code(
        """
        init_global_monitor(log_file="a.log", check_interval=None, max_bytes=500, backup_count=1)
        for number in range(50):
            memory_checkpoint(f"{number}")
        """
    )
    assert done.returncode == 0
    assert done.stderr.decode().count("\n") == 1
    assert labels(work / "a.log") == [str(number) for number in range(50)]


def test_the_log_is_appended_to_and_followed(code: Python, work: Path) -> None:
    (work / "a.log").write_text("what was there\n")
    done = code(
        """
        import os, pathlib
        init_global_monitor(log_file="a.log", check_interval=None)
        memory_checkpoint("a")
        assert pathlib.Path("a.log").read_text("utf-8").count("\\n") == 2, "written at once"
        os.chdir("/")
        memory_checkpoint("b")
        os.closerange(3, 100)
        memory_checkpoint("c")
        """
    )
    assert clean(done) == ""
    assert lines(work / "a.log")[0] == "what was there"
    assert labels(work / "a.log") == ["a", "b", "c"]


def test_a_log_that_was_removed_is_made_again(code: Python, work: Path) -> None:
    done = code(
        """
        import os
        init_global_monitor(log_file="a.log", check_interval=None)
        memory_checkpoint("a")
        os.remove("a.log")
        memory_checkpoint("b")
        """
    )
    assert clean(done) == ""
    assert labels(work / "a.log") == ["b"]


def test_without_a_file_the_log_is_stderr(code: Python) -> None:
    done = code("init_global_monitor(); memory_checkpoint('加载')")
    assert (done.returncode, done.stdout) == (0, b"")
    assert CHECKPOINT.fullmatch(done.stderr.decode().rstrip("\n"))


def test_a_new_monitor_takes_the_place_of_the_old(code: Python, work: Path) -> None:
    done = code(
        """
        import threading
        first = init_global_monitor(log_file="first.log", check_interval=0.01)
        memory_checkpoint("one")
        second = init_global_monitor(log_file="second.log", check_interval=0.01)
        memory_checkpoint("two")
        first.checkpoint("three")
        assert get_global_monitor() is second
        assert threading.active_count() == 2
        """
    )
    assert clean(done) == ""
    assert labels(work / "first.log") == ["one"]
    assert labels(work / "second.log") == ["two"]


@pytest.mark.parametrize(
    ("variables", "module", "lang"),
    [
        ({"LC_ALL": "", "LANG": "zh_CN.UTF-8"}, "memdeep.monitor", "zh"),
        ({"LC_ALL": "", "LANG": "en_US.UTF-8"}, "memdeep.monitor", "en"),
        ({"LC_ALL": "C.UTF-8", "LANG": "zh_CN.UTF-8"}, "memdeep.monitor", "en"),
        ({"LC_ALL": "C.UTF-8"}, "memory_monitor", "zh"),
    ],
)
def test_the_language_follows_the_locale(
    python: Python, variables: dict[str, str], module: str, lang: str
) -> None:
    text = f"import {module} as m; print(m.init_global_monitor(log_file='x.log').lang)"
    assert clean(python("-c", text, env=environment(**variables))) == f"{lang}\n"


def test_a_language_that_is_not_spoken_is_refused(code: Python) -> None:
    done = code("init_global_monitor(lang='de')")
    assert done.returncode == 1
    assert 'ValueError: lang must be "zh", "en" or None, not \'de\'' in done.stderr.decode()


# The background.


def test_the_background_tells_only_what_exceeds(code: Python, work: Path) -> None:
    done = code(
        """
        import time
        def wait_for_more_than(size, count=lambda text: len(text)):
            while count(open("loud.log").read()) <= size:
                time.sleep(0.01)
        quiet = init_global_monitor(log_file="quiet.log", check_interval=0.01,
                                    warning_threshold_mb=100_000, critical_threshold_mb=200_000)
        time.sleep(0.1)
        loud = init_global_monitor(log_file="loud.log", check_interval=0.01, warning_threshold_mb=1)
        wait_for_more_than(5, lambda text: text.count("\\n"))
        loud.stop_background_monitor()
        loud.stop_background_monitor()
        size = len(open("loud.log").read())
        time.sleep(0.1)
        assert len(open("loud.log").read()) == size, "it has stopped"
        loud.start_background_monitor()
        loud.start_background_monitor()
        wait_for_more_than(size)  # it goes on
        """
    )
    assert clean(done) == ""
    assert (work / "quiet.log").read_text() == ""
    content = lines(work / "loud.log")
    assert len(content) > 5
    assert all(BACKGROUND.fullmatch(line) for line in content)


def test_the_background_sees_a_peak_between_checkpoints(code: Python) -> None:
    done = code(
        """
        import time
        monitor = init_global_monitor(log_file="a.log", check_interval=0.01, warning_threshold_mb=1)
        def looks():
            return open("a.log").read().count("后台监控")
        memory_checkpoint("a")
        kept = bytearray(50 * 1024 * 1024)
        least = looks() + 2  # one may have begun before
        while looks() < least:
            time.sleep(0.01)
        del kept
        memory_checkpoint("b")
        print(monitor.generate_report())
        """
    )
    peak = re.search(r"峰值 +RSS=(\d+)\.\d\dMB .* 后台监控", clean(done))
    assert peak is not None
    assert int(peak[1]) > 50


def test_the_background_never_keeps_the_process_alive(either: Python, work: Path) -> None:
    (work / "program.py").write_text(
        "import atexit, memory_monitor\n"
        "atexit.register(lambda: memory_monitor.memory_checkpoint('at the exit'))\n"
        "memory_monitor.init_global_monitor(log_file='a.log', check_interval=3600)\n"
    )
    clean(either("program.py"))
    assert labels(work / "a.log") == ["at the exit"]


@pytest.mark.parametrize("interval_s", [0.1, 5.0])
def test_the_background_uses_under_one_percent(code: Python, interval_s: float) -> None:
    done = code(
        f"""
        import time
        init_global_monitor(log_file="a.log", check_interval={interval_s}, warning_threshold_mb=1)
        before = time.process_time()
        time.sleep(1.5)
        print((time.process_time() - before) / 1.5)
        """
    )
    assert float(clean(done)) < 0.01


def test_a_checkpoint_costs_less_than_100_microseconds(code: Python) -> None:
    done = code(
        """
        import time
        init_global_monitor(log_file="a.log", warning_threshold_mb=800, critical_threshold_mb=950)
        times = []
        for _ in range(2001):
            start = time.perf_counter_ns()
            memory_checkpoint("加载config_AFTER", "config大小估计~512KB")
            times.append(time.perf_counter_ns() - start)
        print(sorted(times)[1000])
        """
    )
    assert int(clean(done)) < 100_000


# Plan B.


def test_a_snapshot_prints_what_python_traces(code: Python) -> None:
    done = code(
        """
        import tracemalloc
        memory_snapshot("Phase1_START")
        kept = [bytes(1000) for _ in range(5000)]
        more = bytearray(2000)
        most = bytearray(1000)
        also = bytearray(500)
        gone = bytearray(20 * 1024 * 1024)
        del gone
        memory_snapshot("Phase1_END", lang="en")
        """,
        before="import sys; sys.modules['psutil'] = sys.modules['memray'] = None",
    )
    first, began, second, largest, *others = clean(done).splitlines()
    assert re.fullmatch(rf"\[Phase1_START\] 当前={SIZE} 峰值={SIZE} \(tracemalloc\)", first)
    assert began.startswith("  从这里开始跟踪")
    figures = re.fullmatch(
        r"\[Phase1_END\] current=(\d+)\.\d\dMB peak=(\d+)\.\d\dMB \(tracemalloc\)", second
    )
    assert figures is not None
    assert int(figures[1]) in (4, 5)
    assert 24 <= int(figures[2]) <= 26
    assert re.fullmatch(r"  1\. +[45]\.\d\dMB  <string>:\d+ \(5,\d{3} blocks\)", largest)
    assert len(others) == 2
    assert not any("monitoring" in line for line in others)


def test_a_snapshot_is_a_marker_under_memdeep_run(either: Python, work: Path) -> None:
    (work / "program.py").write_text(
        "from memdeep import memory_snapshot\nmemory_snapshot('Phase1_START')\n"
    )
    assert "[Phase1_START] current=" in clean(either("program.py"))
    if (work / "d").exists():
        assert told(work / "d") == ["C Phase1_START"]

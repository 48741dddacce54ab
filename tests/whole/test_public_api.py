"""What users may rely on: the public names and their signatures."""

from __future__ import annotations

import inspect

import pytest
from factories import phase, report

import memdeep
import memdeep.monitor
import memory_monitor
from memdeep.objects.holders import Held, Holder, Holders, Snapshot
from memdeep.objects.stacks import Frame, Line, Stack
from memdeep.results import Finding, Result

MONITOR = [
    "MemoryMonitor",
    "get_global_monitor",
    "init_global_monitor",
    "memory_checkpoint",
    "memory_context",
    "memory_snapshot",
    "monitor_function",
]
RESULT = {
    *("name", "command", "identity", "python", "memray", "backend", "started", "duration"),
    *("growth", "peak", "rise", "peak_rss", "peak_pss", "problems", "phases", "exit"),
    *("culprit", "findings", "checkpoints", "processes", "stacks", "to_pandas", "to_arrow"),
    *("snapshots", "across"),
}
PHASE = {
    *("index", "name", "path", "kind", "parent", "thread", "start", "end", "repeats"),
    *("is_complete", "duration", "rss_growth", "growth", "peak", "rise", "kept", "retained"),
    *("freed", "allocations", "culprit", "culprits", "lines", "stacks"),
}
SETTINGS = [
    "name",
    "log_file",
    "warning_threshold_mb",
    "critical_threshold_mb",
    "check_interval",
    "max_bytes",
    "backup_count",
    "lang",
]


def test_the_public_names_are_these_and_no_more() -> None:
    assert sorted(memdeep.__all__) == sorted(
        ["__version__", "attachable", "checkpoint", "load", "phase", "recording", *MONITOR]
    )
    public = {name for name in vars(memdeep) if not name.startswith("_")}
    assert public - {"record"} <= {"checkpoint", "load", "phase", "TYPE_CHECKING"} | {
        name for name, value in vars(memdeep).items() if inspect.ismodule(value)
    }


def test_the_signatures_stay() -> None:
    recording = inspect.signature(memdeep.recording)
    assert list(recording.parameters) == [
        *("dir", "name", "native", "deep", "backend", "children", "force")
    ]
    keywords = list(recording.parameters.values())[1:]
    assert all(one.kind is inspect.Parameter.KEYWORD_ONLY for one in keywords)
    assert not inspect.signature(memdeep.attachable).parameters
    checkpoint = inspect.signature(memdeep.checkpoint)
    assert list(checkpoint.parameters) == ["label", "note"]
    assert checkpoint.parameters["note"].default is None
    assert list(inspect.signature(memdeep.phase).parameters) == ["label"]
    assert list(inspect.signature(memdeep.load).parameters) == ["path"]


def public(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def test_the_names_of_a_loaded_run_stay() -> None:
    result = Result(report([phase()]))
    assert public(result) == RESULT
    assert public(result.phases[0]) == PHASE
    assert public(Finding) == {
        *("kind", "title", "bytes", "resident_bytes", "share", "phase", "phases"),
        *("culprit", "advice", "evidence", "row"),
    }
    assert public(Holders) == {
        *("checkpoint", "bytes", "types", "paths", "garbage", "held_by_c", "shared", "unknown"),
        "is_exact",
    }
    assert public(Held) == {"path", "bytes", "frees", "also", "ways", "count"}
    assert public(Snapshot) == {
        *("checkpoint", "label", "objects", "bytes", "types", "holders", "garbage", "held_by_c"),
        *("gc_enabled", "gc_disabled_at"),
    }
    assert public(Holder) == {
        *("index", "parent", "type", "path", "label", "own", "retained", "objects", "is_single"),
        *("others", "other_path"),
    }
    assert public(Stack) == {"frames", "bytes", "allocations", "thread", "process"}
    assert public(Frame) == {"function", "filename", "path", "lineno", "origin"}
    assert public(Line) == {
        *("filename", "path", "lineno", "function", "source", "bytes", "allocations", "share"),
        *("resident_bytes", "stack", "thread", "process"),
        "holders",
    }


def test_the_public_names_are_documented() -> None:
    assert inspect.getdoc(memdeep.checkpoint)
    assert inspect.getdoc(memdeep.phase)
    assert inspect.getdoc(memdeep.load)


def test_the_names_of_the_monitor_have_three_homes() -> None:
    assert sorted(memdeep.monitor.__all__) == sorted(memory_monitor.__all__) == MONITOR
    for name in MONITOR:
        assert getattr(memdeep, name) is getattr(memdeep.monitor, name)
        assert getattr(memory_monitor, name)
    assert set(MONITOR) <= set(dir(memdeep))
    with pytest.raises(AttributeError, match="module 'memdeep' has no attribute 'nothing'"):
        memdeep.nothing  # noqa: B018


def test_the_signatures_of_the_monitor_stay() -> None:
    for made in (memdeep.init_global_monitor, memdeep.MemoryMonitor):
        assert list(inspect.signature(made).parameters) == SETTINGS
    assert list(inspect.signature(memdeep.memory_checkpoint).parameters) == ["label", "note"]
    assert list(inspect.signature(memdeep.memory_context).parameters) == ["label"]
    assert list(inspect.signature(memdeep.monitor_function).parameters) == ["label"]
    assert list(inspect.signature(memdeep.memory_snapshot).parameters) == ["label", "lang"]
    public = {name for name in vars(memdeep.MemoryMonitor) if not name.startswith("_")}
    assert public == {
        "checkpoint",
        "close",
        "generate_report",
        "is_of_this_process",
        "log",
        "start_background_monitor",
        "stop_background_monitor",
    }


@pytest.mark.parametrize("name", MONITOR)
def test_the_names_of_the_monitor_are_documented(name: str) -> None:
    assert inspect.getdoc(getattr(memdeep, name))

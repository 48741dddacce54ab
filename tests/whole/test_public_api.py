"""What users may rely on: the public names and their signatures."""

from __future__ import annotations

import inspect

import pytest

import memdeep
import memdeep.monitor
import memory_monitor

MONITOR = [
    "MemoryMonitor",
    "get_global_monitor",
    "init_global_monitor",
    "memory_checkpoint",
    "memory_context",
    "memory_snapshot",
    "monitor_function",
]
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
    assert sorted(memdeep.__all__) == sorted(["__version__", "checkpoint", "phase", *MONITOR])
    public = {name for name in vars(memdeep) if not name.startswith("_")}
    assert public - {"record"} <= {"checkpoint", "phase", "TYPE_CHECKING"} | {
        name for name, value in vars(memdeep).items() if inspect.ismodule(value)
    }


def test_the_signatures_stay() -> None:
    checkpoint = inspect.signature(memdeep.checkpoint)
    assert list(checkpoint.parameters) == ["label", "note"]
    assert checkpoint.parameters["note"].default is None
    assert list(inspect.signature(memdeep.phase).parameters) == ["label"]


def test_the_public_names_are_documented() -> None:
    assert inspect.getdoc(memdeep.checkpoint)
    assert inspect.getdoc(memdeep.phase)


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

"""memdeep: which line, in which phase, made this Python program's memory explode?

PYTEST_DONT_REWRITE: pytest warns where it finds this package imported before it, unless it reads so
here.
"""

from memdeep.record.api import checkpoint, phase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memdeep.inprocess.face import recording
    from memdeep.monitor import (
        MemoryMonitor,
        get_global_monitor,
        init_global_monitor,
        memory_checkpoint,
        memory_context,
        memory_snapshot,
        monitor_function,
    )
    from memdeep.record.attachable import attachable
    from memdeep.results import load
    from memdeep.version import __version__

__all__ = [
    "MemoryMonitor",
    "__version__",
    "attachable",
    "checkpoint",
    "get_global_monitor",
    "init_global_monitor",
    "load",
    "memory_checkpoint",
    "memory_context",
    "memory_snapshot",
    "monitor_function",
    "phase",
    "recording",
]

_OF_NOTEBOOKS = ("load_ipython_extension", "unload_ipython_extension")  # what `%load_ext` calls


def __getattr__(name: str) -> object:
    """Import the module of a name only where the name is used: not all programs use all."""
    if name == "__version__":
        from memdeep.version import __version__

        return __version__
    if name == "load":
        from memdeep.results import load

        return load
    if name in _OF_NOTEBOOKS:
        from memdeep.integrations import notebook

        return getattr(notebook, name)
    if name == "attachable":
        from memdeep.record.attachable import attachable

        return attachable
    if name == "recording":
        from memdeep.inprocess.face import recording

        return recording
    if name in __all__:
        from memdeep import monitor

        return getattr(monitor, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

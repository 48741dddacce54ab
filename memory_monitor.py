"""`memdeep.monitor` under the name that existing programs import it by; it speaks Chinese."""

from functools import partial

from memdeep import monitor
from memdeep.monitor import (
    MemoryMonitor,
    get_global_monitor,
    memory_checkpoint,
    memory_context,
    monitor_function,
)

__all__ = [
    "MemoryMonitor",
    "get_global_monitor",
    "init_global_monitor",
    "memory_checkpoint",
    "memory_context",
    "memory_snapshot",
    "monitor_function",
]

init_global_monitor = partial(monitor.init_global_monitor, lang="zh")
memory_snapshot = partial(monitor.memory_snapshot, lang="zh")

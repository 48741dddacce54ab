"""Makes phases of the tasks that a Celery worker runs, by their names.

`install` is called once, where the application is made. Whoever records the processes keeps the
phases, as `memdeep run -m celery -A app worker` does; without a recording they do nothing.
"""

from __future__ import annotations

from typing import Any

from celery import signals

from memdeep.record.api import phase

_open: dict[str, list[phase]] = {}  # by the number of the task; a task may run within itself
_UID = "memdeep"  # so that Celery takes each receiver once


def install() -> None:
    """Make phases of all tasks from now on."""
    signals.task_prerun.connect(_begin, weak=False, dispatch_uid=_UID)
    signals.task_postrun.connect(_end, weak=False, dispatch_uid=_UID)


def uninstall() -> None:
    """Make none any more."""
    signals.task_prerun.disconnect(_begin, dispatch_uid=_UID)
    signals.task_postrun.disconnect(_end, dispatch_uid=_UID)


def _begin(*, task_id: str, task: Any, **_others: Any) -> None:
    begun = phase(str(task.name))
    begun.__enter__()
    _open.setdefault(task_id, []).append(begun)


def _end(*, task_id: str, **_others: Any) -> None:
    begun = _open.get(task_id, [])
    if begun:
        begun.pop().__exit__(None, None, None)
    if not begun:
        _open.pop(task_id, None)

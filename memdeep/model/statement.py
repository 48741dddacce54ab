"""Statements: facts for a reader that have no words yet, only a key of the words and values.

The run stage makes statements, `meta.json` holds them, and the report words them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Union

from memdeep.frozen import frozen

MAX_NUMBER = 2**63
LIMIT = "limit."  # begins the keys of statements on where a limit is set

Value = Union[int, float, str, "Statement"]


@frozen
class Statement:
    """A statement: sizes in ``values`` are bytes, times are seconds.

    Raises ValueError or TypeError unless ``values`` are those that KINDS lists for ``key``.
    """

    key: str
    values: Mapping[str, Value]

    def __post_init__(self) -> None:
        kinds = KINDS.get(self.key)
        if kinds is None or kinds.keys() != self.values.keys():
            raise ValueError(f"there is no statement {self.key!r} of {sorted(self.values)}")
        for name, kind in kinds.items():
            _check(name, self.values[name], kind)


Problem = str | Statement  # a sentence in English where its maker words it


def state(key: str, /, **values: Value) -> Statement:
    """Make the statement ``key`` about ``values``."""
    return Statement(key, values)


def decode(fields: Mapping[str, Any]) -> Statement:
    """Make a statement of ``fields``, as `dataclasses.asdict` returns them.

    Raises ValueError, TypeError, KeyError or AttributeError if they are not those of a statement.
    """
    values = {
        name: decode(value) if isinstance(value, dict) else value
        for name, value in fields["values"].items()
    }
    return Statement(**{**fields, "values": values})


def _check(name: str, value: Value, kind: type) -> None:
    allowed = (int, float) if kind is float else (kind,)
    if type(value) not in allowed:
        raise TypeError(f"{name} is {value!r}")
    if isinstance(value, int | float) and not abs(value) < MAX_NUMBER:
        raise ValueError(f"{name} is {value}")
    if isinstance(value, Statement) and not value.key.startswith(LIMIT):
        raise ValueError(f"{name} is {value.key}, which is no limit")


_LAST_SECONDS: Mapping[str, type] = {
    "span_s": float,
    "first_bytes": int,
    "last_bytes": int,
    "limit_bytes": int,
    "source": Statement,
    "rest_bytes": int,
}

# The kind of each value of each statement.
KINDS: Mapping[str, Mapping[str, type]] = {
    "exit.address_space_left": _LAST_SECONDS,
    "exit.address_space_over": _LAST_SECONDS,
    "exit.by_signal": {"signal": str},
    "exit.cgroup_counter": {"before": int, "after": int},
    "exit.descendant_ended_then": {"pid": str, "command": str, "before": int, "after": int},
    "exit.descendant_killed": {"pid": str, "command": str, "line": str},
    "exit.failed_request": {"place": str},
    "exit.failed_request_of": {"place": str, "size_bytes": int},
    "exit.detached_after": {"duration_s": float},
    "exit.detached_at_phase": {"name": str},
    "exit.detached_at_size": {"measure": str, "size_bytes": int, "limit_bytes": int},
    "exit.detached_by_hand": {},
    "exit.exec": {"after_s": float, "command": str},
    "exit.group_left": _LAST_SECONDS,
    "exit.group_over": _LAST_SECONDS,
    "exit.highest": {"highest_bytes": int, "limit_bytes": int, "source": Statement},
    "exit.kernel_log": {"line": str},
    "exit.kernel_log_other": {"pids": str},
    "exit.kill_at": {"limit_bytes": int, "rss_bytes": int},
    "exit.kill_at_pss": {"limit_bytes": int, "pss_bytes": int},
    "exit.kill_at_ignored": {"grace_s": float},
    "exit.kernel_unknown": {},
    "exit.left_by": {"exception": str},
    "exit.not_the_kernel": {},
    "exit.not_the_way_of_python": {},
    "exit.other_killed_in_group": {"before": int, "after": int},
    "exit.passed_on": {"signal": str},
    "exit.pss_left": _LAST_SECONDS,
    "exit.pss_over": _LAST_SECONDS,
    "exit.rss_left": _LAST_SECONDS,
    "exit.rss_over": _LAST_SECONDS,
    "exit.some_descendant_killed": {"before": int, "after": int},
    "exit.system_counter": {"before": int, "after": int},
    "exit.uncaught": {"exception": str},
    "limit.cgroup": {"file": str},
    "limit.memory": {},
    "limit.memory_and_swap": {},
    "limit.outer_cgroup": {"file": str, "name": str},
    "limit.own_address_space": {},
    "limit.own_cgroup": {},
    "limit.process": {"name": str},
    "problem.earlier_freed": {"n": int},
    "problem.earlier_unknown": {},
    "problem.lost_lines": {"size_bytes": int, "after": str, "before": str},
    "problem.lost_lines_of_thread": {
        "size_bytes": int,
        "thread": str,
        "after": str,
        "before": str,
    },
    "problem.sub_interpreters": {"size_bytes": int},
    "problem.unseen_frees": {"n": int, "size_bytes": int},
}

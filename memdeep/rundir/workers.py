"""`worker.json`: the part that a process of the run plays in a cluster.

Owns that format, both ways. It lies in the directory of that process.
"""

from __future__ import annotations

import json

from memdeep.frozen import frozen

MAX_BYTES = 1 << 16
MAX_NAME = 200  # characters


@frozen
class Worker:
    """A worker of a cluster; ``limit_bytes`` is None where its memory is not limited.

    ``ended_bytes`` is the RSS at which the process that looks after it has ended it, None unless
    that has; ``for_others`` tells that its node was full, whoever filled it.
    """

    pid: int
    name: str
    address: str
    threads: int
    limit_bytes: int | None = None
    ended_bytes: int | None = None
    for_others: bool = False


def encode_worker(worker: Worker) -> bytes:
    """Encode the file."""
    texts = [worker.name[:MAX_NAME], worker.address[:MAX_NAME]]
    ended = [worker.ended_bytes, worker.for_others]
    fields = [worker.pid, *texts, worker.threads, worker.limit_bytes, *ended]
    return json.dumps(fields).encode("ascii") + b"\n"


def decode_worker(content: bytes) -> Worker | None:
    """Return the worker; None if the file is damaged."""
    try:
        pid, name, address, threads, limit, ended, for_others = json.loads(content)
    except (ValueError, TypeError, RecursionError):
        return None
    are_texts = isinstance(name, str) and isinstance(address, str)
    are_numbers = type(pid) is int and type(threads) is int and type(for_others) is bool
    if not (are_texts and are_numbers and {type(limit), type(ended)} <= {int, type(None)}):
        return None
    name, address = _readable(name)[:MAX_NAME], _readable(address)[:MAX_NAME]
    return Worker(pid, name, address, threads, limit, ended, for_others)


def _readable(text: str) -> str:
    """Return ``text`` as any encoding can carry it: lone surrogates become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

"""`meta.json`: the facts of a run, as the parent process saw it from outside.

Owns that format, both ways: `run` writes it, `load` and `live` read it. Knows neither how the facts
are found out nor what follows from them.
"""

from __future__ import annotations

import json
import math
from datetime import datetime
from pathlib import Path

from memdeep.errors import CaptureError
from memdeep.frozen import asdict, field, frozen, replace
from memdeep.model import redaction, statement
from memdeep.model.run import DETACHED, Identity
from memdeep.model.statement import Statement
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import read_regular
from memdeep.rundir.journal import MAX_TIME_S
from memdeep.version import __version__

META_SCHEMA = 2
MAX_BYTES = 1 << 24
ENDING_S = 0.3  # has what ends with the program, as when it reads the end of a pipe

_VERDICTS = (None, "completed", "failed", "killed", "oom-killed", DETACHED)
_TEXTS = ("command", "focus", "stdlib_paths", "library_paths", "notes")
_TEXTS_SINCE = ("own_paths", "directories")  # which earlier recordings are without


@frozen
class SeenProcess:
    """One process of the tree, as the system described it.

    ``start_s`` and ``end_s`` are seconds since the program was started; at ``end_s`` it was last
    seen alive. ``peak_pss_bytes`` and ``peak_uss_bytes`` are the highest that were read of it.
    ``exit`` or ``signal`` is how it ended, ``verdict`` the judgement on that. What is not known
    is None.
    """

    pid: int
    parent_pid: int | None
    command: str | None
    peak_rss_bytes: int | None
    exit: int | None = None
    start_s: float | None = None
    end_s: float | None = None
    peak_pss_bytes: int | None = None
    peak_uss_bytes: int | None = None
    signal: str | None = None
    verdict: str | None = None


@frozen
class Meta:
    """Facts of a run. Those that are known only at its end are None until then.

    ``spawned_ns`` is `time.monotonic_ns()` when the program was started: the zero of `samples`.
    ``library_paths`` and ``stdlib_paths`` tell the user's own code from everybody else's;
    a script that only calls an installed package is somebody else's.
    ``limit_*`` is the tightest limit on memory at the start; ``notes`` are for the report. With
    ``redact_args`` the file holds no arguments of the program or of its processes. ``package`` is
    the directory of the memdeep that records. ``own_paths`` are the files and directories of the
    program itself, wherever they lie, and ``<string>`` for code. ``directories`` are the
    working directories it was seen in, first the one it was started in. ``peak_pss_bytes`` is the
    highest sum of the PSS of all processes at one moment, None if it never had several, or where
    the system does not tell it. ``max_rss_bytes`` is what no process of the program ever had more
    of, as the kernel has counted. ``identity`` is None in earlier recordings; its commit is known
    at the end. ``earlier_s`` is how long the process had run before it began to record itself,
    which it outlived; None for a program that was run to be recorded. With ``attached`` it was
    recorded for somebody else, and may have ended meanwhile. With ``others_only`` the program
    itself was not traced, and processes of its run were. ``leaves_out`` is the option that kept
    Pythons which the program started from being recorded.
    """

    command: tuple[str, ...]
    name: str
    backend: str
    native: bool
    python_allocators: bool
    focus: tuple[str, ...]
    python: str
    memray: str | None
    started: str
    spawned_ns: int
    interval_ms: int
    stdlib_paths: tuple[str, ...]
    library_paths: tuple[str, ...]
    warning_bytes: int | None = None
    critical_bytes: int | None = None
    duration_s: float | None = None
    exit_code: int | None = None
    signal: str | None = None
    verdict: str | None = None
    evidence: tuple[Statement, ...] = ()
    processes: tuple[SeenProcess, ...] = ()
    limit_bytes: int | None = None
    limit_source: Statement | None = None
    limit_of_address_space: bool = False
    notes: tuple[str, ...] = ()
    redact_args: bool = False
    package: str | None = None
    own_paths: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    peak_pss_bytes: int | None = None
    max_rss_bytes: int | None = None
    identity: Identity | None = None
    others_only: bool = False
    earlier_s: float | None = None
    attached: bool = False
    leaves_out: str | None = None
    memdeep: str = field(default=__version__)

    @property
    def is_over(self) -> bool:
        """Tell if whoever recorded it has given a verdict, or told that nobody can."""
        return self.verdict is not None or self.duration_s is not None

    @property
    def was_replaced(self) -> bool:
        """Tell if the program was seen to put another one in its place."""
        return any(said.key == "exit.exec" for said in self.evidence)

    @property
    def has_outlived(self) -> bool:
        """Tell if this is a process that was still running when its run ended."""
        return self.verdict is None and self.duration_s is not None


def _redacted(meta: Meta) -> Meta:
    return replace(
        meta,
        command=redaction.without_arguments(meta.command),
        processes=tuple(
            replace(process, command=redaction.first_word(process.command))
            for process in meta.processes
        ),
        evidence=tuple(map(redaction.without_command, meta.evidence)),
        identity=redaction.without_place(meta.identity),
    )


def encode_meta(meta: Meta) -> bytes:
    """Encode ``meta.json``, indented for readers; without arguments if ``meta`` says so."""
    content = {"schema": META_SCHEMA, **asdict(_redacted(meta) if meta.redact_args else meta)}
    # A file name that is not UTF-8 reaches us with lone surrogates; ASCII escapes carry them.
    return (json.dumps(content, indent=1) + "\n").encode("ascii")


def read_meta(run_dir: RunDirectory) -> Meta:
    """Read the facts of a run. Raises CaptureError."""
    return decode_meta(read_regular(run_dir.meta, MAX_BYTES), run_dir.meta)


def decode_meta(content: bytes, path: Path) -> Meta:
    """Read ``meta.json`` back. Raises CaptureError if it is damaged or of another schema."""
    try:
        loaded = json.loads(content)
        if loaded.pop("schema") != META_SCHEMA:
            raise ValueError("another schema")
        loaded["processes"] = tuple(SeenProcess(**process) for process in loaded["processes"])
        loaded["evidence"] = tuple(map(statement.decode, loaded["evidence"]))
        if loaded["limit_source"] is not None:
            loaded["limit_source"] = statement.decode(loaded["limit_source"])
        if loaded.get("identity") is not None:
            loaded["identity"] = Identity(**loaded["identity"])
            _check_types(loaded["identity"])
        for name in _TEXTS:
            loaded[name] = tuple(str(text) for text in loaded[name])
        for name in _TEXTS_SINCE:
            loaded[name] = tuple(str(text) for text in loaded.get(name, ()))
        datetime.fromisoformat(loaded["started"]).timestamp()
        meta = Meta(**loaded)
        _check_types(meta)
        for process in meta.processes:
            _check_types(process)
        return meta
    except (
        *(ValueError, TypeError, KeyError, AttributeError, RecursionError),
        *(OverflowError, OSError),  # from a date that the system's calendar has not
    ) as error:
        raise CaptureError(
            f"{path} is damaged or was written by another version of memdeep.",
            "Report on the capture alone: memdeep report "
            f"{path.with_name('capture.bin')} (phases are lost then).",
        ) from error


def _check_types(record: Meta | SeenProcess | Identity) -> None:
    """Raise TypeError or ValueError if a field is not of the type of its annotation, or no verdict.

    A float is a time in seconds: it must be finite and not negative.
    """
    from dataclasses import fields  # only here: a program is not to wait for it

    kinds: dict[str, tuple[type, ...]] = {
        "str": (str,),
        "int": (int,),
        "bool": (bool,),
        "float": (int, float),
        "Statement": (Statement,),
        "Identity": (Identity,),
        "None": (type(None),),
    }
    if not isinstance(record, Identity) and record.verdict not in _VERDICTS:
        raise ValueError(f"verdict is {record.verdict!r}")
    for known in fields(record):
        allowed = [kinds[part] for part in str(known.type).split(" | ") if part in kinds]
        value = getattr(record, known.name)
        if allowed and not isinstance(value, tuple(kind for group in allowed for kind in group)):
            raise TypeError(f"{known.name} is {value!r}")
        if isinstance(value, int) and abs(value) >= 2**63:
            raise ValueError(f"{known.name} is {value}")
        is_time = value is not None and "float" in str(known.type)
        if is_time and not (math.isfinite(value) and 0 <= value <= MAX_TIME_S):
            raise ValueError(f"{known.name} is {value}")

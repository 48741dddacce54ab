"""The facts of a run that are known when it begins, of the program itself or of its recording."""

from __future__ import annotations

import sys
import sysconfig
import time
from collections.abc import Sequence
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

from memdeep.model import MemoryLimit
from memdeep.model.statement import Statement
from memdeep.record import bootstrap
from memdeep.record.how import MEMRAY, HowToRecord
from memdeep.run.own_code import OwnCode, working_directory
from memdeep.rundir.meta import Meta


class LimitFacts(TypedDict):
    """The fields of `Meta` on a limit."""

    limit_bytes: int | None
    limit_source: Statement | None
    limit_of_address_space: bool


def begun(how: HowToRecord, command: Sequence[str], name: str, own: OwnCode) -> Meta:
    """Return the facts of a run of ``command`` that begins now."""
    paths = sysconfig.get_paths()
    return Meta(
        command=tuple(command),
        name=name,
        backend=how.backend,
        native=how.native and how.backend == MEMRAY,
        python_allocators=how.trace_python_allocators and how.backend == MEMRAY,
        focus=how.traced_only,
        python=".".join(str(part) for part in sys.version_info[:3]),
        memray=None,
        started=datetime.now().astimezone().isoformat(timespec="milliseconds"),
        spawned_ns=time.monotonic_ns(),
        interval_ms=how.interval_ms,
        stdlib_paths=tuple(sorted({paths["stdlib"], paths["platstdlib"]})),
        library_paths=tuple(
            sorted({paths["purelib"], paths["platlib"], *filter(None, [own.launcher])})
        ),
        redact_args=how.redact_args,
        package=str(Path(bootstrap.__file__).parent.parent),
        own_paths=own.paths,
        directories=tuple(filter(None, [working_directory()])),
    )


def tracer_version(how: HowToRecord) -> str | None:
    """Return the version of memray, None for a run without it.

    Looked for where it is installed, as `importlib.metadata` does, which takes a while to import.
    """
    if how.backend != MEMRAY:
        return None
    found = find_spec("memray")
    places = () if found is None else found.submodule_search_locations or ()
    for place in map(Path, places):
        for about in place.parent.glob("memray-*.dist-info"):
            return about.name.removesuffix(".dist-info").partition("-")[2]
    from importlib.metadata import version

    return version("memray")


def limit_facts(limit: MemoryLimit | None) -> LimitFacts:
    """Return what the facts of a run say of the limit in force, None if there is none."""
    return {
        "limit_bytes": None if limit is None else limit.bytes,
        "limit_source": None if limit is None else limit.source,
        "limit_of_address_space": limit is not None and limit.of_address_space,
    }

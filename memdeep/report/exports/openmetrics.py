"""Encodes the figures of a run and of its phases as text in the format of OpenMetrics 1.0.

https://prometheus.io/docs/specs/om/open_metrics_spec has the rules. A figure that is not known is
not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from memdeep.model import Phase, Report
from memdeep.report.exports.figures import MEANINGS, of_phase
from memdeep.report.exports.options import DEFAULTS, ExportOptions
from memdeep.report.exports.shown import paths_of
from memdeep.text.safe import plain
from memdeep.version import __version__

END = b"# EOF\n"

UNITS = {"_bytes": "bytes", "_s": "seconds"}  # by the end of a figure's name

Labels = Mapping[str, str]
Values = Sequence[tuple[Labels, int | float]]


def encode(report: Report, options: ExportOptions = DEFAULTS) -> Iterator[bytes]:
    """Yield the families of figures, and the mark that nothing is missing behind them."""
    yield from figures(report, options)
    yield END


def figures(report: Report, options: ExportOptions = DEFAULTS) -> Iterator[bytes]:
    """Yield the families of figures of the run and of its phases, without the end of the file."""
    run = report.run
    name = {"run": plain(run.name)}
    facts = {
        "version": __version__,
        "python": run.python or "",
        "memray": run.memray or "",
        "backend": run.mode.backend,
        "started": run.started or "",
    }
    yield _head("memdeep_run", "info", "", "The run that the figures are of.")
    yield _line("memdeep_run_info", {**name, **facts}, 1)
    status = None if run.exit is None else run.exit.code
    for figure, meaning, value in (
        ("peak_rss_bytes", "Highest RSS of all processes.", run.peak_rss_bytes),
        ("peak_pss_bytes", "Highest PSS of all processes.", run.peak_pss_bytes),
        ("peak_heap_bytes", "Highest heap that was traced.", report.heap.peak_bytes),
        ("duration_s", "Time from start to end.", run.duration_s),
        ("exit_status", "Exit status of the program.", status),
    ):
        if value is not None:
            yield from family(f"memdeep_run_{figure}", meaning, [(name, value)])
    phases = [({**name, **labels}, of_phase(one)) for labels, one in _phases(report, options)]
    for figure, meaning in MEANINGS.items():
        known = [
            (labels, value) for labels, found in phases if (value := found[figure]) is not None
        ]
        if known:
            yield from family(f"memdeep_phase_{figure}", meaning, known)


def family(name: str, meaning: str, values: Values) -> Iterator[bytes]:
    """Yield a family of gauges, whose unit is told by the end of its name.

    Each of ``values`` has labels that no other has.
    """
    unit = ""
    for end, known in UNITS.items():
        if name.endswith(end):
            name, unit = f"{name.removesuffix(end)}_{known}", known
    yield _head(name, "gauge", unit, meaning)
    for labels, value in values:
        yield _line(name, labels, value)


def _phases(report: Report, options: ExportOptions) -> Iterator[tuple[Labels, Phase]]:
    for process, one, wanted in options.of_each(report):
        paths = paths_of(one.phases)
        for place, phase in enumerate(one.phases):
            if wanted.has(place):
                yield {"phase": paths[place], "process": str(process)}, phase


def _head(name: str, kind: str, unit: str, meaning: str) -> bytes:
    lines = [f"# TYPE {name} {kind}"]
    lines += [f"# UNIT {name} {unit}"] if unit else []
    lines += [f"# HELP {name} {_escaped(meaning)}", ""]
    return "\n".join(lines).encode()


def _line(name: str, labels: Labels, value: int | float) -> bytes:
    pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{pairs}}} {value}\n".encode("utf-8", "replace")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

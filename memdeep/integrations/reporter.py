"""Judges single tests, and reports on a session of tests, in a process of its own.

So the process of the tests imports nothing of what makes reports, and holds nothing that these
allocate. Requests and answers are lines of JSON.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from memdeep.model import Phase, Report
    from memdeep.rundir.directory import RunDirectory
    from memdeep.text.language import Language

MOST = 10  # tests that the summary lists
LITTLE = 0.05  # of the rise of a test: what it keeps beyond that is told with its line
MOST_OF_RISE = 0.95  # of which the line that is kept tells all


def main() -> None:
    """Answer requests until there are no more: that the tests have ended."""
    import json
    import signal

    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    answers: Mapping[str, Callable[..., Any]] = {
        "judge": judge,
        "refuse": refuse,
        "report": report,
    }
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = answers[request.pop("ask")](**request)
        except Exception as error:
            answer = {"told": [f"memdeep failed (a bug in memdeep): {error!r}"]}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def judge(
    path: str, words: list[str], name: str, limits: Mapping[str, int], roots: list[str]
) -> dict[str, Any]:
    """Hold the recording of one test against its limits; ``words`` say how it was recorded.

    Return what is not within them, and the figures of the test.
    """
    from pathlib import Path

    from memdeep import pipeline
    from memdeep.analysis.budgets import leak
    from memdeep.frozen import replace
    from memdeep.model.budget import Budget, Check, Rule, State
    from memdeep.report.gate import wording
    from memdeep.rundir.directory import RunDirectory
    from memdeep.text.language import spoken

    run_dir = RunDirectory(Path(path))
    language = spoken()
    _write_facts(run_dir, words, name)
    made = pipeline.analyse(pipeline.load(run_dir.path, _ignore), _ignore)
    checks = {Check(check): None if limit < 0 else limit for check, limit in limits.items()}
    gate = pipeline.check(made, [Budget(checks, Rule(path), phase=name)], tuple(roots))
    told = []
    for verdict in gate.verdicts:
        if verdict.fails:
            told.append(
                language.say(
                    "pytest.over",
                    figure=wording.figure(verdict.check, language),
                    value=wording.shown(verdict, verdict.value),
                    limit=wording.shown(verdict, verdict.limit),
                )
                if verdict.state is State.OVER
                else wording.sentence(verdict, language)
            )
            if verdict.check is Check.NO_GROWTH and verdict.phase is not None:
                verdict = replace(verdict, culprit=leak(made, verdict.phase) or verdict.culprit)
            blamed = wording.blame(gate, verdict, language)
            told += [] if blamed is None else [f"  {blamed}"]
    figures = [
        {**known, "place": _place(made, place, language)}
        for place, one in enumerate(made.phases)
        if one.name == name and (known := _figures(one)) is not None
    ]
    if told:
        paths = pipeline.report_paths(run_dir.path)
        pipeline.store_sources(run_dir, made)
        pipeline.write(made, paths, _ignore)
        told.append(f"{language.say('terminal.report')}{paths['html']}")
    return {"told": told, "figures": figures[0] if figures else None}


def refuse(number: int) -> dict[str, Any]:
    """Return the sentence on a test that did not pass when it was run again."""
    from memdeep.text.language import spoken

    return {"told": [spoken().say("pytest.unrepeatable", number=number)]}


def report(path: str, tests: list[str], judged: Mapping[str, Any]) -> dict[str, Any]:
    """Make the report of the session, and return the lines of its summary.

    ``judged`` has the figures of tests that had recordings of their own.
    """
    from pathlib import Path

    from memdeep import pipeline
    from memdeep.report import sentences
    from memdeep.report.options import ReportOptions
    from memdeep.rundir.directory import RunDirectory
    from memdeep.symbols import cache
    from memdeep.text import units
    from memdeep.text.language import spoken
    from memdeep.text.safe import plain

    run_dir = RunDirectory(Path(path))
    language = spoken()
    pipeline.seal(run_dir, _ignore)
    options = ReportOptions(cache=cache.directory_of("memdeep") / "templates")
    made = pipeline.analyse(pipeline.load(run_dir.path, _ignore), _ignore, options)
    paths = pipeline.report_paths(run_dir.path)
    pipeline.store_sources(run_dir, made)
    pipeline.write(made, paths, _ignore, options)
    names = set(tests)
    found: dict[str, tuple[Any, tuple[Report, int] | None]]
    found = {name: (figures, None) for name, figures in judged.items()}
    for one in (made, *made.own_reports.values()):
        for place, phase in enumerate(one.phases):
            if phase.outline.depth == 0 and phase.name in names and phase.heap is not None:
                found.setdefault(phase.name, (_figures(phase), (one, place)))
    known = [(name, *one) for name, one in found.items() if one[0] is not None]
    known.sort(key=lambda row: max(row[1]["growth"], row[1]["rise"]), reverse=True)
    rows = [
        language.say(
            "pytest.row",
            growth=f"{units.signed_size(one['growth']):>10}",
            rise=f"{units.size(one['rise']):>9}",
            allocations=f"{one['allocations'] or 0:>10,}",
            name=plain(name),
            place=plain(one["place"] if phase is None else _place(*phase, language)),
        )
        for name, one, phase in known[:MOST]
    ]
    head = [language.say("pytest.head", n=len(rows))] if rows else []
    if rows and not made.run.mode.python_allocators:
        head.append(language.say("pytest.arenas"))
    pages = [f"{language.say('terminal.report')}{paths['html']}"]
    for process, own in made.own_reports.items():
        of_worker = pipeline.report_paths(
            run_dir.path / (made.run.processes[process].directory or "")
        )
        pipeline.write(own, of_worker, _ignore, options)
        pages.append(language.say("pytest.worker", number=len(pages), path=str(of_worker["html"])))
    problems = [plain(problem) for problem in sentences.problems(made, language)]
    return {
        "told": [*head, *rows, *_unknown(tests, known, language), *pages],
        "problems": problems,
    }


def _unknown(tests: list[str], known: list[Any], language: Language) -> list[str]:
    """Return the line on tests whose figures are not known: any of them may have moved most."""
    from memdeep.text.safe import plain

    names = {name for name, *_ in known}
    unknown = [plain(name) for name in tests if name not in names]
    if not unknown:
        return []
    shown = [*unknown[:MOST], *(["…"] if len(unknown) > MOST else [])]
    return [language.say("pytest.unknown", n=len(unknown), names=", ".join(shown))]


def _write_facts(run_dir: RunDirectory, words: list[str], name: str) -> None:
    """Write `meta.json` of a recording that has ended; ``words`` say how it was recorded.

    Raises CaptureError or OutputError.
    """
    from memdeep.frozen import replace
    from memdeep.loading.journal import read_journal
    from memdeep.record.how import HowToRecord
    from memdeep.run.facts import begun, tracer_version
    from memdeep.run.own_code import OwnCode
    from memdeep.rundir import journal
    from memdeep.rundir.files import write_atomically
    from memdeep.rundir.meta import encode_meta

    how, _ = HowToRecord.from_words(words)
    events = read_journal(run_dir.journal).events
    start = next(event for event in events if event.kind == journal.START)
    meta = replace(
        begun(how, ("-m", "pytest", name), name, OwnCode()),
        memray=tracer_version(how),
        spawned_ns=start.monotonic_ns,
        duration_s=events[-1].time_us / 1e6,
        exit_code=0,
        verdict="completed",
    )
    write_atomically(run_dir.meta, encode_meta(meta))


def _figures(phase: Phase) -> dict[str, Any] | None:
    """Return the figures of a phase for the summary; None where its heap is not known."""
    heap = phase.heap
    if heap is None:
        return None
    return {
        "growth": heap.delta_bytes,
        "rise": heap.peak.bytes - heap.start_bytes,
        "allocations": heap.allocations,
    }


def _place(report: Report, place: int, language: Language) -> str:
    """Return the line that kept what a test keeps, and the one by which its heap rose.

    One that kept little, beside the rise, is not told; nor is a line that nobody can open.
    """
    from memdeep.analysis.blame import line_of_rise
    from memdeep.report import frame_names

    phase = report.phases[place]
    figures = _figures(phase) or {"growth": 0, "rise": 0}
    growth, rise = figures["growth"], figures["rise"]
    culprits = {
        "kept": phase.main_culprit if growth > LITTLE * rise else None,
        "risen": line_of_rise(report, place) if growth < MOST_OF_RISE * rise else None,
    }
    known = {
        name: frame_names.location(one.frame)
        for name, one in culprits.items()
        if one is not None and os.path.isabs(one.frame.filename)
    }
    if len(set(known.values())) == 2:
        return language.say("pytest.places", **known)
    return next(iter(known.values()), "")


def _ignore(_step: str) -> None:
    pass


if __name__ == "__main__":
    del sys.path[0]
    sys.path += [path for path in sys.argv[1:] if path not in sys.path]
    main()

"""`memdeep run`: runs a program, and reports which line made its memory grow.

That the program may start soon, what makes the report is imported when it has ended.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memdeep import pipeline
from memdeep.cli import arguments, speech
from memdeep.cli.options import OPTIONS, Place, Settings
from memdeep.cli.settings import load, merge
from memdeep.errors import (
    EXIT_INTERRUPTED,
    EXIT_OVER,
    EXIT_USAGE,
    CaptureError,
    MemdeepError,
    ProgramError,
)
from memdeep.live.status_line import StatusLine
from memdeep.record.how import ALL, MEMRAY, NONE, HowToRecord
from memdeep.record.marks import words as mark_words
from memdeep.record.program import WhatToRun
from memdeep.record.tree import rank
from memdeep.run import interpreter, looks
from memdeep.run.options import RunOptions
from memdeep.run.program import check_program
from memdeep.run.progress import Progress
from memdeep.rundir import directory, runs
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.meta import read_meta
from memdeep.text import translation
from memdeep.text.language import spoken
from memdeep.text.safe import plain

if TYPE_CHECKING:
    from memdeep.cli.check import Limits
    from memdeep.model import Report

SHARE_MARKED = 0.1  # of the time whose detail stays: a checkpoint so often, where none is asked for


def main(words: Sequence[str]) -> int:
    """Carry out `memdeep run WORDS`; return the exit status of the program."""
    own, rest = arguments.split(words, OPTIONS)
    given = arguments.parser("run").parse(own)
    of_python, program = interpreter.without_python(rest)
    what = what_to_run(program)
    loaded = load(Path.cwd())
    on_line = arguments.given(given, OPTIONS)
    settings = merge(on_line, loaded)
    if on_line["disk"] is not None:
        _check_disk(settings)
    limits = None
    if on_line["baseline"] is not None and not settings.flag("check"):
        raise ProgramError(
            "--baseline does nothing without --check.",
            "Add --check: then the run is held against the baseline.",
            EXIT_USAGE,
        )
    if settings.flag("check"):
        from memdeep.cli import check

        limits = check.limits(loaded, settings)
    check_program(what)
    options = run_options(settings, of_python)
    if targets := settings.texts("notify"):
        from memdeep.live import notify

        for target in targets:
            notify.check(target)
    output = settings.path("output")
    if output is None:
        run_dir = directory.create_default(what.name, datetime.now(), rank())
    else:
        run_dir = directory.create(directory.of_rank(output, rank()), force=given.force)
    with runs.held(run_dir):
        try:
            status = _record(what, run_dir, options, settings)
        except KeyboardInterrupt:
            if _has_ended(run_dir):
                raise _interrupted(run_dir) from None
            raise
        return report_and_check(run_dir, settings, limits, status)


def report_and_check(
    run_dir: RunDirectory, settings: Settings, limits: Limits | None, status: int
) -> int:
    """Report on a run that has just ended, and hold it against ``limits``.

    Return the program's ``status``; if that is 0, the one of the check that was asked for.
    """
    within = limits is None
    try:
        made = _report(run_dir, settings)
        if limits is not None:
            from memdeep.cli import check

            within = check.is_within(run_dir.path, made, limits, settings)
    except KeyboardInterrupt:
        raise _interrupted(run_dir) from None
    # The program has run; its exit status is what the caller waits for.
    except MemdeepError as error:
        speech.complain(error)
    except Exception:
        import traceback

        traceback.print_exc()
        speech.complain(_failed(run_dir))
    with suppress(KeyboardInterrupt), speech.steps(quiet=settings.flag("quiet")) as on_step:
        pipeline.pack(run_dir, on_step)
    return status if status or within else EXIT_OVER


def what_to_run(words: Sequence[str]) -> WhatToRun:
    """Return the program that begins with the first of ``words``.

    ``-m`` and ``-c`` may have their value attached. Raises ProgramError if there is none.
    """
    kinds = {"-m": WhatToRun.MODULE, "-c": WhatToRun.CODE}
    if words and words[0][:2] in kinds:
        kind, attached = kinds[words[0][:2]], words[0][2:]
        rest = [attached, *words[1:]] if attached else list(words[1:])
    else:
        kind, rest = WhatToRun.SCRIPT, list(words)
    if not rest:
        raise ProgramError(
            "There is no program to run.",
            "Name a script, or use -m MODULE or -c CODE; see memdeep run --help.",
            EXIT_USAGE,
        )
    return WhatToRun(kind, rest[0], tuple(rest[1:]))


def run_options(settings: Settings, of_python: Sequence[str] = ()) -> RunOptions:
    """Return what to tell the stages that run and record. Raises ProgramError.

    ``of_python`` are options of the interpreter that stand before the program.
    """
    how = HowToRecord(**settings.of(Place.PROGRAM))
    wrong = next(filter(None, map(mark_words.check, how.marks)), None)
    if wrong is not None:
        raise ProgramError(wrong, "See the examples of memdeep run --help.", EXIT_USAGE)
    if how.traced_only and how.backend != MEMRAY:
        raise ProgramError(
            f"{how.traced_only[0]} does not go with --backend {how.backend}.",
            "Only memray's tracer can be turned on and off; leave one of the two out.",
            EXIT_USAGE,
        )
    if how.wants_holders:
        _check_holders(how)
    around = settings.of(Place.RUN)
    warning, critical = around["warning_bytes"], around["critical_bytes"]
    if warning and critical and warning > critical:
        raise ProgramError(
            "--warning-mb is above --critical-mb.",
            "A warning comes first: give it the smaller one.",
            EXIT_USAGE,
        )
    if around["last_s"]:
        how = _recorder(how, around)
    words = interpreter.parse(settings.text("python-args") or "")
    of_interpreter = (*interpreter.inherited(), *words, *of_python)
    return RunOptions(how=how, interpreter=of_interpreter, **around)


def _recorder(how: HowToRecord, around: Mapping[str, Any]) -> HowToRecord:
    """Return how a flight recorder records: no other process, and a checkpoint now and then.

    Raises ProgramError if that does not go with the rest of what is wanted.
    """
    others = {
        f"--backend {how.backend}": how.backend != MEMRAY,
        **dict.fromkeys(how.traced_only, True),
        "--no-follow": around["no_follow"],
        "--keep-capture": around["keep_capture"],
        f"--children {how.children}": how.children not in (ALL, NONE),
    }
    wrong = next((name for name, is_wanted in others.items() if is_wanted), None)
    if wrong is not None:
        raise ProgramError(
            f"--last does not go with {wrong}.",
            "Leave one of them out: what is old is merged while memray's trace of all of the "
            "program grows, and given back.",
            EXIT_USAGE,
        )
    grid_s = 0.0 if how.mark_every else around["last_s"] * SHARE_MARKED
    return how.but(children=NONE, grid_s=grid_s)


def _check_disk(settings: Settings) -> None:
    """Raise ProgramError if nothing would be given back of what the capture takes."""
    for name in ("no-follow", "keep-capture"):
        if settings.flag(name):
            raise ProgramError(
                f"--disk does not go with --{name}.",
                "Leave one of them out: with that nothing is given back, and the capture may take "
                "any size.",
                EXIT_USAGE,
            )


def _check_holders(how: HowToRecord) -> None:
    """Raise ProgramError if it cannot be recorded who holds the objects."""
    reason = looks.obstacle(how)
    if reason is not None:
        raise ProgramError(
            f"Who holds the objects cannot be recorded: {reason}.",
            "Leave out --holders and --holders-at.",
            EXIT_USAGE,
        )


def _record(what: WhatToRun, run_dir: RunDirectory, options: RunOptions, settings: Settings) -> int:
    quiet = settings.flag("quiet")

    def on_note(sentence: str) -> None:
        if not quiet:
            speech.say(plain(f"memdeep: {translation.here(sentence)}"))

    with StatusLine(sys.stderr, quiet=quiet) as status_line, ExitStack() as until_end:
        listeners = [status_line.update]
        if targets := settings.texts("notify"):
            from memdeep.live.alarms import Alarms
            from memdeep.live.notify import Notifier

            alarms = Alarms(run_dir, options.warning_bytes, options.critical_bytes)
            about = run_dir, what.name, spoken(settings.text("lang") or "")
            notifier = until_end.enter_context(Notifier(targets, alarms, about, on_note))
            listeners.append(notifier.update)

        def on_progress(progress: Progress) -> None:
            for listen in listeners:
                listen(progress)

        return pipeline.record_run(what, run_dir, options, on_progress, on_note)


def _report(run_dir: RunDirectory, settings: Settings) -> Report | None:
    """Make the report unless only the recording is wanted; return it if it was made."""
    from rich.text import Text

    from memdeep.cli import report
    from memdeep.report import terminal

    quiet = settings.flag("quiet")
    with speech.steps(quiet=quiet) as on_step:
        pipeline.seal(run_dir, on_step, aside=True)
    if not settings.flag("no-report"):
        made = report.make(run_dir.path, None, settings)
        pipeline.store_sources(run_dir, made)
        return made
    if not quiet:
        said = report.spoken_language(settings).say("terminal.recorded")
        speech.say(Text.assemble(said, terminal.link(run_dir.path)))
    return None


def _has_ended(run_dir: RunDirectory) -> bool:
    with suppress(CaptureError):
        return read_meta(run_dir).is_over
    return False


def _interrupted(run_dir: RunDirectory) -> MemdeepError:
    return MemdeepError(
        "The report was interrupted; all that was recorded is kept.",
        f"Make the report later: memdeep report {run_dir.path}",
        EXIT_INTERRUPTED,
    )


def _failed(run_dir: RunDirectory) -> MemdeepError:
    return MemdeepError(
        "memdeep failed to make the report (a bug in memdeep). The recording is kept.",
        f"Make the report with a later version: memdeep report {run_dir.path}",
        EXIT_USAGE,
    )

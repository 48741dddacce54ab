"""`memdeep attach`: records a program that runs already, and reports on that while."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime

from memdeep import pipeline
from memdeep.cli import arguments, run, speech
from memdeep.cli.arguments import OF_ATTACH
from memdeep.cli.options import Place, Settings
from memdeep.cli.report import spoken_language
from memdeep.cli.settings import in_force
from memdeep.errors import AttachError
from memdeep.live.status_line import StatusLine
from memdeep.record.how import MEMRAY, NONE, HowToRecord
from memdeep.run.attach import AttachOptions, Running, Until
from memdeep.rundir import directory, runs
from memdeep.rundir.directory import RunDirectory
from memdeep.text.safe import plain


def main(words: Sequence[str]) -> int:
    """Carry out `memdeep attach WORDS`; return its exit status."""
    given = arguments.parser("attach").parse(words)
    settings = in_force(arguments.given(given, OF_ATTACH))
    until = Until(given.seconds, given.size, given.phase)
    options = _options(settings, until)
    program = pipeline.reach(given.pid)
    with program.line:
        output = settings.path("output")
        if output is None:
            run_dir = directory.create_default(program.name, datetime.now())
        else:
            run_dir = directory.create(output, force=given.force)
        with runs.held(run_dir):
            try:
                _record(program, run_dir, options, settings)
            except AttachError:
                runs.remove(run_dir)  # nothing was recorded
                raise
            program.line.close()
            return run.report_and_check(run_dir, settings, None, 0)


def _record(
    program: Running, run_dir: RunDirectory, options: AttachOptions, settings: Settings
) -> None:
    quiet = settings.flag("quiet")
    if not quiet:
        until = options.until
        is_open = (until.seconds, until.size_bytes, until.phase) == (None, None, None)
        key = "attach.until_interrupted" if is_open else "attach.recording"
        said = spoken_language(settings).say(key, pid=str(program.target.pid), name=program.name)
        speech.say(plain(said))
    with StatusLine(sys.stderr, quiet=quiet) as status_line:
        pipeline.attach(program, run_dir, options, status_line.update)


def _options(settings: Settings, until: Until) -> AttachOptions:
    """Return how to record; of the options of a file those that concern a start are left out."""
    how = HowToRecord(**settings.of(Place.PROGRAM)).but(
        backend=MEMRAY,
        children=NONE,
        mark_stdout=(),
        mark_call=(),
        mark_line=(),
        mark_every=0.0,
        focus=(),
        start_at="",
        stop_at="",
        holders=False,
        holders_at=(),
    )
    around = settings.of(Place.RUN)
    return AttachOptions(how, until, around["max_capture_bytes"], around["keep_free_bytes"])

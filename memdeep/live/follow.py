"""Follows a run from another terminal to its end, from its files alone."""

from __future__ import annotations

import time
from collections import deque

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from memdeep.frozen import frozen
from memdeep.live import view
from memdeep.live.progress import RunProgress
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.journal import Event
from memdeep.text import translation
from memdeep.text.language import Language, spoken
from memdeep.text.safe import plain

READING_S = 0.25  # at most, between two drawings
BACKLOG = 20
FINAL_ROWS = 10


@frozen
class Told:
    """The language that is spoken, and how often a view is drawn anew."""

    language: Language
    refresh_s: float


def follow(
    run_dir: RunDirectory,
    console: Console,
    *,
    refresh_s: float = 0.5,
    language: Language | None = None,
) -> None:
    """Show the run in ``run_dir`` on ``console`` until it ends or the user types Ctrl-C.

    On a terminal one view is kept up to date; elsewhere every checkpoint becomes a line, and of
    those from before the watching the last few do. Raises CaptureError if `meta.json` is damaged.
    """
    told = Told(language or spoken(), refresh_s)
    with RunProgress(run_dir) as progress:
        try:
            if console.is_interactive and console.file.isatty():
                _follow_live(progress, console, told)
            else:
                _follow_lines(progress, console, told)
        except KeyboardInterrupt:
            console.print(told.language.say("watch.stopped"))


def _follow_live(progress: RunProgress, console: Console, told: Told) -> None:
    """Draw one view again and again in its place."""

    def draw(state: Text) -> RenderableType:
        return view.whole(progress, state, console.height, told.language)

    with Live(
        console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
    ) as live:
        end = None
        while end is None:
            progress.poll(READING_S, _ignore)
            end = _end(progress, told.language)
            live.update(
                draw(view.running(progress, told.language) if end is None else end), refresh=True
            )
            if end is None and not progress.is_behind:
                time.sleep(told.refresh_s)


def _follow_lines(progress: RunProgress, console: Console, told: Told) -> None:
    """Print a line for each checkpoint, and the growth at the end."""
    language = told.language
    printer = _Lines(progress, language)
    end = None
    while end is None:
        progress.poll(READING_S, printer.add)
        end = _end(progress, language)
        lines = printer.take()
        if lines:
            console.out("\n".join(lines), highlight=False)
        if end is None and not progress.is_behind:
            time.sleep(told.refresh_s)
    for problem in progress.problems:
        sentence = plain(translation.into(language.code, problem))
        console.print(Text(sentence, style="yellow"), soft_wrap=True)
    peak = language.say("watch.peak_rss", peak_bytes=progress.resident.peak_bytes)
    console.print(end.append(peak, "default"), soft_wrap=True)
    console.print(view.ranking(progress.growths(), FINAL_ROWS, language))


class _Lines:
    """The lines to print next, one a checkpoint; until all is read, only the last few."""

    def __init__(self, progress: RunProgress, language: Language) -> None:
        self._progress = progress
        self._language = language
        self._before: Event | None = None
        self._backlog: deque[str] = deque(maxlen=BACKLOG)
        self._lines: list[str] | None = None

    def add(self, event: Event) -> None:
        before = self._before or self._progress.start
        line = view.checkpoint_line(self._progress, event, before, self._language)
        (self._backlog if self._lines is None else self._lines).append(line)
        self._before = event

    def take(self) -> list[str]:
        if self._lines is not None:
            lines, self._lines = self._lines, []
            return lines
        if self._progress.is_behind:
            return []
        self._lines = []
        hidden = self._progress.checkpoints - len(self._backlog)
        earlier = [self._language.say("watch.earlier", n=hidden)] if hidden else []
        return [*earlier, *self._backlog]


def _end(progress: RunProgress, language: Language) -> Text | None:
    """Say how the run ended; None while it goes on or not everything has been read."""
    if progress.is_behind:
        return None
    if progress.meta is not None and progress.has_ended:
        return view.ended(progress.meta, language)
    if progress.is_replaced:
        return Text(language.say("watch.replaced"), style="yellow")
    if progress.is_silent:
        silent = language.say("watch.silent", path=str(progress.run_dir.path))
        return Text(plain(silent), style="yellow")
    return None


def _ignore(_event: Event) -> None:
    pass

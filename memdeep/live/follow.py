"""Follows a run from another terminal to its end, from its files alone."""

from __future__ import annotations

import time
from collections import deque

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from memdeep.errors import CaptureError
from memdeep.frozen import frozen, replace
from memdeep.live import view
from memdeep.live.by_line import Choice, Order
from memdeep.live.freeze import Freezer
from memdeep.live.keys import DOWN, UP, Keys
from memdeep.live.progress import RunProgress
from memdeep.live.view import Lines
from memdeep.rundir import live
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.journal import Event
from memdeep.text import translation
from memdeep.text.language import Language, spoken
from memdeep.text.safe import plain

READING_S = 0.25  # at most, between two drawings
BACKLOG = 20
FINAL_ROWS = 10
FRAME_ROWS = 40  # of a text that is no terminal's


@frozen
class Told:
    """The language that is spoken, and how often a view is drawn anew."""

    language: Language
    refresh_s: float


@frozen
class Pace:
    """How often the run is shown: ``once``, or every so many seconds; None is as usual."""

    once: bool = False
    every_s: float | None = None


USUAL = Pace()


def follow(
    run_dir: RunDirectory,
    console: Console,
    *,
    refresh_s: float = 0.5,
    language: Language | None = None,
    pace: Pace = USUAL,
) -> None:
    """Show the run in ``run_dir`` on ``console`` until it ends or the user types q or Ctrl-C.

    On a terminal one view is kept up to date; elsewhere every checkpoint becomes a line, and of
    those from before the watching the last few do. By ``pace`` the whole view is printed instead,
    once or again and again. Raises CaptureError if `meta.json` is damaged.
    """
    told = Told(language or spoken(), pace.every_s or refresh_s)
    is_live = console.is_interactive and console.file.isatty()
    with RunProgress(run_dir) as progress:
        try:
            if pace.once or (pace.every_s is not None and not is_live):
                _print_views(progress, console, told, once=pace.once)
            elif is_live:
                _follow_live(progress, console, told)
            else:
                _follow_lines(progress, console, told)
        except KeyboardInterrupt:
            console.print(told.language.say("watch.stopped"))


class _Screen:
    """The lines of the run as they were last written, and what the reader does with them."""

    def __init__(self, run_dir: RunDirectory, language: Language, *, takes_keys: bool) -> None:
        self._run_dir = run_dir
        self._language = language
        self._takes_keys = takes_keys
        self._choice = Choice()
        self._freezer = Freezer(run_dir)
        self._read: tuple[int, int] | None = None
        self._live: live.Live | None = None
        self._problem: str | None = None

    def view(self, progress: RunProgress, state: Text, height: int) -> RenderableType:
        """Lay out the run in ``height`` rows, below ``state``, by line if lines are known."""
        lines, told = self._lines(), self._told()
        if lines is not None:
            lines = replace(lines, told=told)
        shown = view.whole(progress, state, height, self._language, lines)
        return shown if told is None or lines is not None else Group(shown, told)

    def _lines(self) -> Lines | None:
        """Return the lines, read anew if they were written anew; None if there are none."""
        try:
            status = self._run_dir.live.stat()
            if (status.st_ino, status.st_mtime_ns) != self._read:
                self._read = status.st_ino, status.st_mtime_ns
                self._live, self._problem = live.read(self._run_dir.live), None
        except CaptureError as error:  # of another version: the phases are there all the same
            self._live, self._problem = None, error.message
        except OSError:
            pass
        if self._live is None:
            return None
        return Lines(self._live, self._choice, time.time(), None, self._takes_keys)

    def _told(self) -> Text | None:
        """Return what there is to say to the reader."""
        freezer, say = self._freezer, self._language.say
        if freezer.is_busy:
            return Text(say("watch.freezing"), style="dim")
        if freezer.has_failed:
            path = str(self._run_dir.path)
            return Text(plain(say("watch.not_frozen", path=path)), style="yellow")
        if freezer.made is not None:
            return Text(plain(say("watch.frozen", path=str(freezer.made))), style="green")
        if self._problem is not None:
            sentence = translation.into(self._language.code, self._problem)
            return Text(plain(sentence), style="yellow")
        return None

    def press(self, key: str | None) -> bool:
        """Do what ``key`` stands for; tell if it ends the watching."""
        if key in (UP, DOWN) and self._live is not None:
            self._choice.move(self._live, -1 if key == UP else 1)
        elif key == "f":
            self._freezer.start()
        elif key in [order.value for order in Order]:
            self._choice.order = Order(key)
        return key == "q"


def _follow_live(progress: RunProgress, console: Console, told: Told) -> None:
    """Draw one view again and again in its place."""
    screen = _Screen(progress.run_dir, told.language, takes_keys=True)
    with (
        Keys() as keys,
        Live(
            console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        ) as drawn,
    ):
        end = None
        while end is None:
            progress.poll(READING_S, _ignore)
            end = _end(progress, told.language)
            state = view.running(progress, told.language) if end is None else end
            drawn.update(screen.view(progress, state, console.height), refresh=True)
            wait_s = 0.0 if progress.is_behind else told.refresh_s
            if end is None and screen.press(keys.next(wait_s)):
                return


def _print_views(progress: RunProgress, console: Console, told: Told, *, once: bool) -> None:
    """Print the whole view, once or until the run has ended."""
    screen = _Screen(progress.run_dir, told.language, takes_keys=False)
    end = None
    while end is None:
        progress.poll(READING_S, _ignore)
        if progress.is_behind:
            continue
        end = _end(progress, told.language)
        state = view.running(progress, told.language) if end is None else end
        shown = screen.view(progress, state, FRAME_ROWS)
        with console.capture() as captured:
            console.print(shown)
        rows = [row.rstrip() for row in captured.get().rstrip().split("\n")]
        console.out("\n".join(rows), highlight=False)
        if once:
            return
        if end is None:
            console.out("", highlight=False)
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

"""`%load_ext memdeep`: cells of a notebook, or all of it, recorded in its kernel.

The line `%%memdeep` is taken out of a cell before IPython sees it, so that the cell runs as it
would without: with its `await`, its `Out[]`, its tracebacks. Around it the recording begins and
ends.
"""

from __future__ import annotations

import contextlib
import io
import linecache
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.display import display

from memdeep.cli import arguments
from memdeep.cli.options import OPTIONS, Place, Settings
from memdeep.cli.settings import load, merge
from memdeep.errors import MemdeepError
from memdeep.frozen import replace
from memdeep.inprocess.recording import Options, Recording
from memdeep.record import api
from memdeep.record.how import HowToRecord
from memdeep.report.options import ReportOptions
from memdeep.rundir import labels
from memdeep.rundir.cells import Cell, encode_cell
from memdeep.text import translation

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

MAGIC = "%%memdeep"
# Options that need a process of their own, or change the program for good.
_ONLY_RUN = (
    *("mark-stdout", "mark-call", "mark-line", "mark-every", "memory-limit", "kill-at"),
    *("python-args", "check", "notify", "disk", "keep-capture", "no-follow", "last"),
)
_NO_MARKS: Mapping[str, Any] = {
    **dict.fromkeys(("mark_stdout", "mark_call", "mark_line"), ()),
    "mark_every": 0.0,
}


class Notebook:
    """The cells of one shell, and what is recorded of them."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._number = 0  # of the cell at hand
        self._open: dict[int, list[_Cell]] = {}  # cells that run, by thread, one in the other
        self._recorded: _Recorded | None = None  # what `%memdeep on` began

    def begin(self) -> None:
        """Take part in what the shell does."""
        shell = self._shell
        self.strip = _Stripping(self)
        shell.input_transformers_cleanup.append(self.strip)
        shell.events.register("pre_run_cell", self.before)
        shell.events.register("post_run_cell", self.after)
        shell.register_magic_function(self.switch, "line", "memdeep")

    def end(self) -> None:
        """Leave the shell as it was."""
        shell = self._shell
        if self._recorded is not None:
            self.switch("off")
        shell.input_transformers_cleanup.remove(self.strip)
        shell.events.unregister("pre_run_cell", self.before)
        shell.events.unregister("post_run_cell", self.after)
        shell.magics_manager.magics["line"].pop("memdeep", None)

    def stripped(self, lines: list[str]) -> list[str]:
        """Return the lines of a cell without the magic one; raises UsageError for wrong options.

        They keep their numbers, unless the next one is a magic of its own, which must come first.
        """
        self._number = self._shell.execution_count  # of the cell that runs next
        words = _words("".join(lines))
        if words is None:
            return lines
        _settings(words)
        return lines[1:] if lines[1:2] and lines[1].startswith("%%") else ["\n", *lines[1:]]

    def before(self, info: Any) -> None:
        """Begin to record a cell if that is asked for; called before it runs."""
        cell = _Cell(labels.cell(self._number), info.raw_cell or "")
        self._open.setdefault(get_ident(), []).append(cell)
        words = _words(cell.source)
        try:
            if self._recorded is not None:
                self._recorded.note(self._known(cell, info))
                cell.begin_phase()
            elif words is not None and api.is_recording():
                cell.begin_phase()
            elif words is not None:
                cell.recorded = _Recorded(words, cell.title)
                self._note_all(cell.recorded)
                cell.recorded.note(self._known(cell, info))
                cell.begin_phase()
        except (MemdeepError, UsageError) as error:
            self._complain(error)

    def after(self, result: Any) -> None:
        """End what `before` began; called when the cell has ended, however that was."""
        if result is not None and not (result.info.raw_cell or "").strip():
            return
        cells = self._open.get(get_ident())
        if not cells:
            return
        cell, error = cells.pop(), None
        if result is not None:
            error = result.error_before_exec or result.error_in_exec
        cell.end_phase(error)
        if cell.recorded is not None:
            self._show(cell.recorded, error)

    def switch(self, line: str) -> None:
        """Record all cells from this one on, with the options of `memdeep run`, until `off`."""
        word, *words = shlex.split(line) or [""]
        if word == "off":
            recorded, self._recorded = self._recorded, None
            if recorded is None:
                raise UsageError("memdeep: nothing is recorded; %memdeep on begins")
            for cell in self._running():
                cell.end_phase(None)
            self._show(recorded, None)
        elif word == "on":
            if self._recorded is not None or api.is_recording():
                raise UsageError("memdeep: a recording is on already")
            try:
                self._recorded = _Recorded(words, "notebook")
            except MemdeepError as error:
                raise UsageError(f"memdeep: {error.message} {error.hint}") from error
            self._note_all(self._recorded)
            for cell in self._running():
                cell.begin_phase()
        else:
            raise UsageError("%memdeep on [options of memdeep run], or %memdeep off")

    def _running(self) -> list[_Cell]:
        return self._open.get(get_ident(), [])

    def _show(self, recorded: _Recorded, error: BaseException | None) -> None:
        try:
            recorded.show(error)
        except MemdeepError as problem:
            self._complain(problem)

    def _note_all(self, recorded: _Recorded) -> None:
        """Note the cells that ran before: functions of theirs may be called."""
        numbers: Mapping[str, int] = getattr(self._shell.compile, "_filename_map", {})
        for filename, number in numbers.items():
            lines = linecache.cache.get(filename, ())
            if len(lines) == 4:
                recorded.note(Cell(filename, labels.cell(number), "".join(lines[2])))

    def _known(self, cell: _Cell, info: Any) -> Cell:
        """Return the cell that is about to run, by the name that its code will have."""
        code = getattr(info, "transformed_cell", None)  # from IPython 9 on
        if code is None:
            number = self._number
            code = self._shell.transform_cell(info.raw_cell)
            self._number = number
        name = self._shell.compile.get_code_name(info.raw_cell, code, self._number)
        return Cell(name, cell.title, code)

    def _complain(self, error: Exception) -> None:
        said = [str(error)]
        if isinstance(error, MemdeepError):
            said = [translation.here(error.message), translation.here(error.hint)]
        sys.stderr.write(f"memdeep: {' '.join(said)}\n")


class _Stripping:
    """Transformer of cells. IPython does not call one with side effects to look for an end."""

    has_side_effects = True

    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook

    def __call__(self, lines: list[str]) -> list[str]:
        return self._notebook.stripped(lines)


class _Cell:
    """A cell that runs; ``recorded`` is its recording if it has one of its own."""

    def __init__(self, title: str, source: str) -> None:
        self.title = title
        self.source = source
        self.recorded: _Recorded | None = None
        self._phase: api.phase | None = None

    def begin_phase(self) -> None:
        self._phase = api.phase(self.title)
        self._phase.__enter__()

    def end_phase(self, error: BaseException | None) -> None:
        phase, self._phase = self._phase, None
        if phase is not None:
            phase.__exit__(None if error is None else type(error), error, None)


class _Recorded:
    """A recording, with the cells that were run in it and before."""

    def __init__(self, words: Sequence[str], name: str) -> None:
        """Raises MemdeepError, and UsageError for wrong ``words``."""
        self._settings = _settings(words)
        self._recording = Recording(_options(self._settings, name, force="--force" in words))
        assert self._recording.run.path is not None
        self._cells = self._recording.run.path / "cells"

    def note(self, cell: Cell) -> None:
        """Keep a cell for the report."""
        with contextlib.suppress(OSError), open(self._cells, "ab") as file:
            file.write(encode_cell(cell))

    def show(self, error: BaseException | None) -> None:
        """End the recording, and show its page. Raises MemdeepError."""
        self._recording.stop(error)
        run, settings = self._recording.run, self._settings
        if settings.flag("no-report"):
            sys.stderr.write(f"memdeep: {run.path}\n")
        elif settings.flag("quiet"):
            run.report()
        else:
            display(run)
        if settings.flag("open"):
            page = run.report()
            if page is not None:
                import webbrowser

                webbrowser.open(page.absolute().as_uri())


def _words(source: str) -> list[str] | None:
    """Return the words behind `%%memdeep` in the first line of a cell; None without it."""
    first = source.lstrip("\n").partition("\n")[0].rstrip()
    magic, _, rest = first.partition(" ")
    return shlex.split(rest) if magic == MAGIC else None


def _settings(words: Sequence[str]) -> Settings:
    """Return the options in force for a cell with these ``words``. Raises UsageError."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            own, rest = arguments.split(words, OPTIONS)
            parsed = arguments.parser("run").parse([*own, *rest])
        given = arguments.given(parsed, OPTIONS)
        refused = next((name for name in _ONLY_RUN if given.get(name) is not None), None)
        if refused is not None:
            raise UsageError(f"memdeep: --{refused} is for `memdeep run` only")
        settings = merge(given, load(Path.cwd()))
    except MemdeepError as error:
        raise UsageError(f"memdeep: {error.message} {error.hint}") from error
    except SystemExit as error:
        complaint = said.getvalue().partition("error: ")[2].partition("\n")[0]
        raise UsageError(f"memdeep: {complaint}") from error
    return settings


def _options(settings: Settings, name: str, *, force: bool) -> Options:
    around = settings.of(Place.RUN)
    return Options(
        how=HowToRecord(**settings.of(Place.PROGRAM)).but(**_NO_MARKS),
        path=settings.path("output"),
        name=name,
        force=force,
        report=replace(ReportOptions(**settings.of(Place.REPORT)), width=100),
        **{
            name: around[name]
            for name in ("warning_bytes", "critical_bytes", "keep_free_bytes", "max_capture_bytes")
        },
    )


_loaded: dict[int, Notebook] = {}


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add `%%memdeep` and `%memdeep` to a shell."""
    if id(shell) not in _loaded:
        _loaded[id(shell)] = Notebook(shell)
        _loaded[id(shell)].begin()


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take them away."""
    notebook = _loaded.pop(id(shell), None)
    if notebook is not None:
        notebook.end()

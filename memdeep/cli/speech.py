"""Speaks on the terminal: sentences, complaints, the step at hand. All of it goes to stderr.

The program's stdout is its own; and that a terminal cannot be written to is no reason to fail. Rich
takes a while to import, so that it comes with the first thing said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING

from memdeep.errors import MemdeepError
from memdeep.text.safe import plain

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from memdeep.text.language import Language


def stderr() -> Console:
    """Return the console that `say` writes to."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def say(words: object) -> None:
    """Print a sentence, or what rich can render; texts are folded by the terminal itself."""
    from rich.text import Text

    shown = Text(words) if isinstance(words, str) else words
    console = stderr()
    with suppress(OSError):
        if console.is_terminal:
            console.print(shown, soft_wrap=isinstance(shown, Text))
            return
        with console.capture() as capture:
            console.print(shown, soft_wrap=isinstance(shown, Text))
        for line in capture.get().splitlines():  # what fills up a row is for terminals
            console.file.write(f"{line.rstrip()}\n")


def complain(error: MemdeepError) -> None:
    """Print the sentence and the hint of ``error``."""
    from rich.text import Text

    from memdeep.text import translation

    say(Text.assemble(("memdeep: ", "bold red"), plain(translation.here(error.message))))
    say(f"  {plain(translation.here(error.hint))}")


def newest(language: Language, *, quiet: bool) -> Path:
    """Return the newest run, and say which it is. Raises CaptureError if there is none."""
    from memdeep.rundir import runs

    path = runs.newest().path
    if not quiet:
        say(plain(language.say("terminal.newest", path=str(path))))
    return path


def open_page(page: Path, language: Language) -> bool:
    """Open ``page`` in the browser; say where it lies, and return False, if there is none."""
    import webbrowser

    if webbrowser.open(page.absolute().as_uri()):
        return True
    say(plain(language.say("terminal.no_browser", path=str(page.absolute()))))
    return False


@contextmanager
def steps(*, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Yield a function to call with each step of something long; the last one is on display.

    Beside it are the seconds that it has taken so far. Nothing is shown unless on a terminal.
    """
    console = None if quiet else stderr()
    if console is None or not console.is_terminal:
        yield lambda step: None
        return
    from memdeep.text import translation

    shown = Step(translation.here)
    with console.status(shown, spinner="dots"):
        yield shown.begin


class Step:
    """The step at hand, which rich asks for its words each time that it draws."""

    def __init__(self, translated: Callable[[str], str]) -> None:
        self._translated = translated
        self._words = translated("Preparing the report")
        self._kind = ""
        self._begun_s = monotonic()

    def begin(self, step: str) -> None:
        kind = step.partition(" (")[0]  # how far it is stands behind that
        if kind != self._kind:
            self._kind, self._begun_s = kind, monotonic()
        self._words = self._translated(step)

    def __rich__(self) -> str:
        taken_s = int(monotonic() - self._begun_s)
        return f"{self._words} … {f'{taken_s} s' if taken_s else ''}".rstrip()

"""Speaks on the terminal: sentences, complaints, the step at hand. All of it goes to stderr.

The program's stdout is its own; and that a terminal cannot be written to is no reason to fail. Rich
takes a while to import, so that it comes with the first thing said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
    with suppress(OSError):
        stderr().print(shown, soft_wrap=isinstance(shown, Text))


def complain(error: MemdeepError) -> None:
    """Print the sentence and the hint of ``error``."""
    from rich.text import Text

    say(Text.assemble(("memdeep: ", "bold red"), plain(error.message)))
    say(f"  {plain(error.hint)}")


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
    """Yield a function to call with each step of something long; the last one is on display."""
    console = None if quiet else stderr()
    if console is None or not console.is_terminal:
        yield lambda step: None
        return
    with console.status("", spinner="dots") as spinner:
        yield lambda step: spinner.update(f"{step} …")

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
    from rich.console import Console


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


@contextmanager
def steps(*, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Yield a function to call with each step of something long; the last one is on display."""
    console = None if quiet else stderr()
    if console is None or not console.is_terminal:
        yield lambda step: None
        return
    with console.status("", spinner="dots") as spinner:
        yield lambda step: spinner.update(f"{step} …")

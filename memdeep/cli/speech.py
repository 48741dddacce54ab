"""Speaks on the terminal: sentences, complaints, the step at hand. All of it goes to stderr.

The program's stdout is its own; and that a terminal cannot be written to is no reason to fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress

from rich.console import Console
from rich.text import Text

from memdeep.errors import MemdeepError
from memdeep.text.safe import plain


def stderr() -> Console:
    """Return the console that `say` writes to."""
    return Console(stderr=True, highlight=False)


def say(words: object) -> None:
    """Print a sentence, or what rich can render; texts are folded by the terminal itself."""
    shown = Text(words) if isinstance(words, str) else words
    with suppress(OSError):
        stderr().print(shown, soft_wrap=isinstance(shown, Text))


def complain(error: MemdeepError) -> None:
    """Print the sentence and the hint of ``error``."""
    say(Text.assemble(("memdeep: ", "bold red"), plain(error.message)))
    say(f"  {plain(error.hint)}")


@contextmanager
def steps(*, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Yield a function to call with each step of something long; the last one is on display."""
    console = stderr()
    spinner = console.status("", spinner="dots") if console.is_terminal and not quiet else None

    def on_step(step: str) -> None:
        if spinner is not None:
            spinner.update(f"{step} …")

    with spinner or nullcontext():
        yield on_step

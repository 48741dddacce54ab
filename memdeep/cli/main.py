"""The command `memdeep`: finds the command that is meant, and ends with its exit status.

Imports as little as it can: `--version` and `--help` answer at once, and each command brings in
only what it needs.
"""

import gc
import io
import os
import sys

from memdeep.cli import help
from memdeep.errors import (
    EXIT_BROKEN_PIPE,
    EXIT_INTERRUPTED,
    EXIT_NOT_STARTED,
    EXIT_USAGE,
    MemdeepError,
)
from memdeep.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn


def main(words: "Sequence[str] | None" = None) -> "NoReturn":
    """Carry out the command line ``words`` (those of the process if None), and exit."""
    if sys.stderr is None:  # closed by whoever started us; the program shall run all the same
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - stays open until the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # labels need not fit the terminal's encoding
    try:
        status = _dispatch(sys.argv[1:] if words is None else words)
        if sys.stdout is not None:
            sys.stdout.flush()
    except MemdeepError as error:
        from memdeep.cli import speech

        speech.complain(error)
        status = error.exit_status
    except BrokenPipeError:  # whoever read what we print has enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = EXIT_BROKEN_PIPE
    except OSError as error:
        from errno import EDQUOT, EFBIG, EIO, ENOSPC

        if error.errno not in (ENOSPC, EDQUOT, EFBIG, EIO) or error.filename is not None:
            raise
        from memdeep.cli import speech
        from memdeep.errors import OutputError

        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        reason = (error.strerror or str(error)).lower()
        speech.complain(
            OutputError(
                f"Cannot write to the standard output: {reason}.",
                "Free some space, or send it to a file on another disk.",
            )
        )
        status = EXIT_NOT_STARTED
    except (KeyboardInterrupt, RuntimeError) as error:
        # Before Python 3.12 an interrupt in `__set_name__`, as a class is made, is but the cause.
        if isinstance(error, RuntimeError) and not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        from memdeep.cli import speech

        speech.say("memdeep: interrupted.")
        status = EXIT_INTERRUPTED
    try:
        sys.stderr.flush()
    except OSError:  # a full disk behind it: what it still holds must not change our status
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    if status == EXIT_INTERRUPTED:
        # CPython kills itself by the signal, whatever it is told here, if the interrupt came while
        # it executed a text, as importing a dataclass does (`unhandled_keyboard_interrupt`).
        os._exit(status)
    # What lives now ends with the process: to look for cycles in it takes an eighth of a report.
    gc.freeze()
    sys.exit(status)


def _dispatch(words: "Sequence[str]") -> int:
    """Carry out a command; return its exit status."""
    name = words[0] if words else "help"
    if name == "help" and len(words) > 1:
        name, words = words[1], (words[1], "--help")
    if name in help.COMMANDS and name != "help":
        return _carry_out(name, words[1:])
    if not words or name in (
        "-h",
        "--help",
        "help",
    ):  # nothing asked for is no mistake, as with pip
        print(help.overview())
        return 0
    if name in ("-V", "--version"):
        print(f"memdeep {__version__}")
        return 0
    kind = "option" if name.startswith("-") else "command"
    near = help.near(name, (*help.COMMANDS, "--help", "--version"))
    meant = f"Did you mean {near}?" if near else f"The commands are {', '.join(help.COMMANDS)}."
    sentence = f"memdeep: error: there is no {kind} {name!a}. {meant}"
    print(f"{help.USAGE}\n{sentence}\nSee: memdeep --help", file=sys.stderr)
    return EXIT_USAGE


def _carry_out(name: str, words: "Sequence[str]") -> int:
    if name == "run":
        from memdeep.cli import run

        return run.main(words)
    if name == "attach":
        from memdeep.cli import attach

        return attach.main(words)
    if name == "report":
        from memdeep.cli import report

        return report.main(words)
    if name == "diff":
        from memdeep.cli import diff

        return diff.main(words)
    if name == "export":
        from memdeep.cli import export

        return export.main(words)
    if name == "open":
        from memdeep.cli import open as opening

        return opening.main(words)
    if name == "runs":
        from memdeep.cli import runs

        return runs.main(words)
    if name == "watch":
        from memdeep.cli import watch

        return watch.main(words)
    if name == "check":
        from memdeep.cli import check

        return check.main(words)
    if name == "doctor":
        from memdeep.cli import doctor

        return doctor.main(words)
    if name == "completion":
        from memdeep.cli import completion

        return completion.main(words)
    from memdeep.cli import config

    return config.main(words)

"""The first lines to run in the recorded process: start recording, then become the program.

Started by path, as `python .../bootstrap.py WORDS`, so that no module of the user's directory is
found in place of one of ours.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from memdeep.record.how import HowToRecord


def main(modules_before: "frozenset[str]") -> "Callable[[], object]":
    """Record the program described on the command line until all of it has ended.

    Return the function that executes the program.
    """
    from memdeep.record import program
    from memdeep.record.how import HowToRecord

    how, words = HowToRecord.from_words(sys.argv[1:])
    what = program.WhatToRun.from_words(words)
    _record(how)
    return program.prepare(what, modules_before)


def _record(how: "HowToRecord") -> None:
    """Start recording; whatever fails in that, the program shall run."""
    import atexit

    from memdeep.record.recorder import say
    from memdeep.record.session import Session

    try:
        session = Session(how)
        # Registered first, so it runs last: after the program's threads and `atexit` functions.
        atexit.register(session.finish)
        session.start()
    except Exception as error:
        say(f"nothing is recorded: {error}")


if __name__ == "__main__":
    _modules = frozenset(sys.modules)
    import _signal as signal  # type: ignore[import-not-found]  # which is built in and imports nothing

    # An interrupt before the program begins ends this process at once. As an exception it might be
    # lost: where a callback of an import is running, the interpreter cannot raise it.
    _raises = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if _raises:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Where this file lies, put in front of the path unless the interpreter was told not to.
    if not (getattr(sys.flags, "safe_path", False) or sys.flags.isolated):
        del sys.path[0]
    try:
        import memdeep  # noqa: F401
    except ModuleNotFoundError:  # started from a source tree that is not installed
        sys.path.append(__file__.rsplit("memdeep", 1)[0])
    try:
        _program = main(_modules)
        if _raises:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        _program()
    except SystemExit:
        raise
    except BaseException:
        from memdeep.record.program import hide_own_frames

        hide_own_frames()
        raise

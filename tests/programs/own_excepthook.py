"""Has an exception hook of its own, which sees the traceback python would show."""

import sys
import traceback


def hook(kind: type, error: BaseException, trace: object) -> None:
    print(kind.__name__, error, sys.excepthook is hook, error.__traceback__ is trace)
    for frame in traceback.extract_tb(trace):
        print(frame.filename, frame.lineno, frame.name, frame.line)


sys.excepthook = hook
raise OSError("for the hook")

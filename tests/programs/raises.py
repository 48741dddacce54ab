"""Raises an exception of the kind named by its argument, some calls deep."""

import sys


def fail(kind: str) -> None:
    if kind == "plain":
        raise ValueError("plain, with ünicode")
    if kind == "syntax":
        compile("a = = 1", "other.py", "exec")
    if kind == "import":
        import there_is_no_such_module  # noqa: F401
    if kind == "interrupt":
        raise KeyboardInterrupt
    if kind == "new cause":
        raise RuntimeError("caused") from OSError("made, but never raised")
    if kind == "unprintable":
        raise Unprintable
    try:
        {}["missing"]
    except KeyError as error:
        if kind == "cause":
            raise RuntimeError("caused") from error
        if kind == "suppressed":
            raise RuntimeError("alone") from None
        raise RuntimeError("in the handler")  # noqa: B904


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("cannot be shown")


def outer(kind: str) -> None:
    try:
        fail(kind)
    finally:
        print("on the way out")


outer(sys.argv[1])

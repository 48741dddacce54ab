"""A module of the package; fails if told so."""

import sys

import memdeep


def fail() -> None:
    raise ValueError("in a module")


if __name__ == "__main__":
    memdeep.checkpoint("in a module")
    print(__name__, __package__, __spec__.name, ascii(sys.argv))
    if "fail" in sys.argv:
        fail()

"""Allocates through the library that its first argument names."""

import ctypes
import sys

library = ctypes.CDLL(sys.argv[1])
library.exported.restype = ctypes.c_void_p
library.exported.argtypes = [ctypes.c_int]


def work() -> None:
    library.exported(30_000_000)


work()

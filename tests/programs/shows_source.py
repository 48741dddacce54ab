"""Asks for its own source, and that of what it imports, in the ways that programs do."""

import inspect
import linecache
import pickle
import runpy
import sys
import traceback
import warnings
from dataclasses import dataclass

import pool

import __main__


@dataclass
class Point:
    x: int
    y: int = 0


def function():
    return inspect.currentframe().f_code.co_name


print(inspect.getsource(Point), inspect.getsource(function), inspect.getsourcefile(function))
print(inspect.getsource(pool.solve), inspect.getmodule(function) is __main__)
print(len(inspect.getsource(__main__)), linecache.getline(__file__, 1))
print(pickle.loads(pickle.dumps(Point(1, 2))), pickle.dumps(Point(3))[:40])
print(sorted(runpy.run_path("arguments.py", run_name="other")))
try:
    raise ValueError("seen by the program")
except ValueError as error:
    print("".join(traceback.format_exception(error)))
warnings.warn("once", stacklevel=1)
print(sys._getframe().f_back is None or sys._getframe().f_back.f_back is None)

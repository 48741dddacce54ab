"""Shows what `__main__` is."""

import builtins
import sys

import __main__

VALUE = object()

print(__name__, __file__, repr(__doc__), __package__, __spec__)
print(sorted(name for name in globals() if name.startswith("__")))
print(type(__loader__).__name__, __builtins__ is builtins, "__cached__" in globals())
print(__main__.__dict__ is globals(), __main__.VALUE is VALUE, sys.modules["__main__"] is __main__)
print(sys.path)

"""Shows, one a line, all that a program can see of how it was started."""

import gc
import inspect
import json
import locale
import os
import re
import signal
import sys
import threading
import traceback
import warnings

import __main__

STREAMS = (sys.stdin, sys.stdout, sys.stderr)
SIGNALS = [one for one in signal.valid_signals() if isinstance(one, signal.Signals)]


def show(title, value):
    print(json.dumps([title, re.sub("0x[0-9a-f]+", "0x", ascii(value))]))


for name in sorted(vars(__main__)):
    if name.startswith("__"):
        value = vars(__main__)[name]
        show(name, type(value).__name__ if name in ("__builtins__", "__loader__") else value)
show("main", (__main__ is sys.modules["__main__"], vars(__main__) is globals()))
show("argv", (sys.argv, sys.orig_argv))
show("flags", (sys.flags, sys._xoptions, sys.warnoptions, sys.dont_write_bytecode))
show("path", sys.path)
show("filters", warnings.filters)
show("hook", sys.excepthook is sys.__excepthook__)
show("finders", [getattr(one, "__name__", type(one).__name__) for one in sys.meta_path])
show("path hooks", len(sys.path_hooks))
show("threads", [thread.name for thread in threading.enumerate()])
show("tracing", (sys.gettrace(), sys.getprofile(), threading.excepthook.__name__))
show("gc", (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count(), gc.callbacks))
show("limits", (sys.getrecursionlimit(), sys.getswitchinterval()))
show("locale", (locale.setlocale(locale.LC_ALL), locale.getpreferredencoding(False)))
show("streams", [(s.encoding, s.errors, s.line_buffering, s.write_through) for s in STREAMS])
show("signals", [(one.name, signal.getsignal(one)) for one in sorted(SIGNALS)])
show("mask", signal.pthread_sigmask(signal.SIG_BLOCK, []))
show("environment", dict(os.environ))
show("descriptor", os.open(os.devnull, os.O_RDONLY))
show("process", (os.umask(0), os.getcwd(), os.getsid(0), os.nice(0)))
print(json.dumps(["stack", [frame.filename for frame in inspect.stack(0)]]))
print(json.dumps(["printed stack", traceback.format_stack()]))
print(json.dumps(["modules", list(sys.modules)]))

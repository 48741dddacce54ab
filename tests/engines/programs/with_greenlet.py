"""Keeps 30,000,000 bytes in a greenlet and warns; of its own, it says nothing else on stderr."""

import sys
import warnings

import greenlet

kept = []


def work():
    kept.append(b"x" * 30_000_000)  # KEPT
    greenlet.getcurrent().parent.switch()
    print("in a greenlet", file=sys.stderr)


worker = greenlet.greenlet(work)
worker.switch()
warnings.warn("the program's own", RuntimeWarning, stacklevel=1)
worker.switch()
print(warnings.filters)
if "memray" in sys.argv:
    import memray

    with memray.Tracker("own.bin"):
        greenlet.greenlet(work).switch()

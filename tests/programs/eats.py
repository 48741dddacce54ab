"""Keeps 4 MB more every 10 ms, all of it touched, up to as many MB as its argument says.

With the argument `stubborn` behind it, it ignores SIGTERM.
"""

import signal
import sys
import threading
import time

import memdeep

kept: list[bytearray] = []


def grow(most_mb: int) -> None:
    while len(kept) * 4 < most_mb:
        kept.append(bytearray(b"x") * (4 << 20))
        time.sleep(0.01)


def idle() -> None:
    time.sleep(60)


if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
threading.Thread(target=idle, daemon=True).start()
memdeep.checkpoint("before")
with memdeep.phase("eating"):
    grow(int(sys.argv[1]))
print("eaten", flush=True)

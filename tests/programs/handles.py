"""Waits for the signals named by its arguments, writes down which came, and leaves with 7.

Says in the file `ready` that it waits.
"""

import os
import signal
import sys
import time
from pathlib import Path

import memdeep

seen: list[str] = []


def handle(number: int, _frame: object) -> None:
    seen.append(signal.Signals(number).name)


for name in sys.argv[1:]:
    signal.signal(signal.Signals[name], handle)
memdeep.checkpoint("waiting")
with memdeep.phase("wait"):
    Path("ready").write_text(str(os.getpid()))
    while not seen:
        time.sleep(0.01)
# A signal sent twice would come within this time.
time.sleep(0.1)
Path("seen").write_text(" ".join(seen))
sys.exit(7)

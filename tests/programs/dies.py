"""Dies by the signal named by its argument, in the middle of a phase."""

import os
import signal
import sys

import memdeep

with memdeep.phase("done before"):
    kept = bytearray(3_000_000)
memdeep.checkpoint("LOAD_START")
with memdeep.phase("fatal"):
    more = bytearray(8_000_000)
    memdeep.checkpoint("the last one")
    os.kill(os.getpid(), signal.Signals[sys.argv[1]])

"""Ends with the exit status named by its argument; `atexit` functions speak on the way."""

import atexit
import sys

STATUSES = {
    "nothing": None,
    "zero": 0,
    "three": 3,
    "text": "a text for stderr",
    "true": True,
    "minus one": -1,
    "large": 300,
    "tuple": (1, 2),
}

atexit.register(print, "registered first, runs last")
atexit.register(print, "registered last, runs first", file=sys.stderr)
print("about to exit")
sys.exit(STATUSES[sys.argv[1]])

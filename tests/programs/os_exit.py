"""Ends at once, without flushing or `atexit`."""

import atexit
import os

atexit.register(print, "never shown")
os.write(1, b"written\n")
print("buffered and lost")
os._exit(5)

"""What the workers of the engines do: each task keeps 5,000,000 bytes in its worker."""

import os
import time

BYTES = 5_000_000
kept = []


def evaluate(number):
    kept.append(b"x" * (BYTES + number - number))  # KEPT
    time.sleep(0.2)
    return os.getpid()

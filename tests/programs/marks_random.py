"""Writes to its stdout in 300 random ways; the argument is the seed."""

import os
import random
import sys

rng = random.Random(int(sys.argv[1]))
PARTS = ("", "a", "[é]", "\n", "[x]\n", "\r\n", "\x1b[1m", "☃" * 40, "b" * 9_000)


def text() -> str:
    return "".join(rng.choice(PARTS) for _ in range(rng.randrange(4)))


for _ in range(300):
    way = rng.randrange(8)
    if way < 3:
        print(text(), text(), sep=rng.choice(PARTS[:4]), end=rng.choice(PARTS[:5]))
    elif way == 3:
        sys.stdout.write(text())
    elif way == 4:
        sys.stdout.buffer.write(text().encode())
    elif way == 5:
        os.write(1, text().encode())
    elif way == 6:
        rng.choice((sys.stdout, sys.stdout.buffer)).flush()
    else:
        sys.stdout.reconfigure(line_buffering=rng.random() < 0.5, write_through=rng.random() < 0.2)

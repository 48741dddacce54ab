"""Copies nested rows over and over: many small objects, nearly all of them soon freed.

`python deep_copies.py COPIES CHECKPOINTS`: one copy makes about 270,000 allocations.
"""

import copy
import sys

from memdeep import checkpoint

copies, checkpoints = int(sys.argv[1]), int(sys.argv[2])
rows = [{"a": n, "b": [n, n + 1], "c": {"x": str(n)}} for n in range(3000)]
# Copied in as many pieces as give a checkpoint after each.
pieces = max(1, checkpoints // copies)
size = -(-len(rows) // pieces)
kept = []
done = 0
for turn in range(copies):
    for start in range(0, len(rows), size):
        copied = copy.deepcopy(rows[start : start + size])
        due = (turn * len(rows) + start + size) * checkpoints // (copies * len(rows))
        while done < min(due, checkpoints):
            done += 1
            checkpoint(f"part {done}")
    kept.append(copied[:5])

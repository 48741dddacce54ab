"""Allocates blocks of sizes that no allocator pools, so that every byte is known beforehand."""

from memdeep import checkpoint, phase

BLOCK = 300_000  # a bytearray of n bytes allocates n + 1

with phase("keep"):
    kept = [bytearray(BLOCK - 1) for _ in range(10)]
with phase("peak"):
    passing = [bytearray(BLOCK - 1) for _ in range(25)]
    del passing
checkpoint("free_BEFORE")
del kept[:4]
checkpoint("free_AFTER")

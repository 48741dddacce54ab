"""Lines whose bytes come by mmap, by a library's malloc, and by Python's own allocator."""

import mmap
import sqlite3

from memdeep import phase

database = sqlite3.connect(":memory:")
with phase("all"):
    mapped = mmap.mmap(-1, 4_000_000)
    database.executescript("CREATE TABLE rows AS SELECT zeroblob(2000000)")
    array = bytearray(2_000_000)

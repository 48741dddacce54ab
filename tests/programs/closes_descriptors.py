"""Closes all descriptors, as daemons do, and goes on with files of its own."""

import os

import memdeep

memdeep.checkpoint("before")
os.closerange(3, 256)
files = [open(f"own-{number}.txt", "w+b", buffering=0) for number in range(12)]
for number in range(200):
    memdeep.checkpoint(f"step {number}")
    for file in files:
        file.write(b"1234567 line %d\n" % number)
    kept = [bytes(600 + number) for _ in range(100)]
for file in files:
    file.close()
memdeep.checkpoint("after")
print("done")

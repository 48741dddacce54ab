"""Closes all descriptors, as daemons do, and goes on with files of its own."""

import os

import memdeep

memdeep.checkpoint("before")
os.closerange(3, 256)
flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC
files = [os.open(f"own-{number}.txt", flags) for number in range(12)]
for number in range(200):
    memdeep.checkpoint(f"step {number}")
    for file in files:
        os.write(file, b"1234567 line %d\n" % number)
    kept = [bytes(600 + number) for _ in range(100)]
for file in files:
    os.close(file)
memdeep.checkpoint("after")
print("done")

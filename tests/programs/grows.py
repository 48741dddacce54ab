"""Grows in phases: a small well-behaved target."""

import memdeep

kept = []
memdeep.checkpoint("PREPARE_START")
kept.append(bytearray(2_000_000))
memdeep.checkpoint("PREPARE_END")
for size in (1, 2, 3):
    with memdeep.phase("repeat"):
        kept.append(bytearray(size * 1_000_000))
memdeep.checkpoint("finished", note="with a note")
print(sum(map(len, kept)))

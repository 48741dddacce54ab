"""Checkpoints while threads allocate and free all the time: hard on every law about bytes."""

import sys
import threading

from memdeep import checkpoint, phase

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 30
stop = threading.Event()
kept: list[bytearray] = []


def churn(seed: int) -> None:
    held: list[bytes] = []
    step = 0
    while not stop.is_set():
        step += 1
        held.append(bytes((seed * 7919 + step * 104729) % 20_000 + 1))
        if len(held) > 50:
            del held[:: 2 + step % 3]


threads = [threading.Thread(target=churn, args=(seed,)) for seed in range(3)]
for thread in threads:
    thread.start()
for number in range(ROUNDS):
    with phase("grow"):
        kept.append(bytearray(40_000 + number))
    checkpoint(f"round {number % 5}")
    with phase("shrink"):
        if number % 3 == 0:
            kept.pop(0)
stop.set()
for thread in threads:
    thread.join()
checkpoint("joined")

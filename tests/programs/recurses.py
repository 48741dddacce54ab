"""Recursion 20,000 deep that keeps something on its way down."""

import sys
import threading

import memdeep

DEPTH = 20_000
sys.setrecursionlimit(10 * DEPTH)
threading.stack_size(512 * 1024 * 1024)
kept: list[bytearray] = []


def descend(depth: int) -> None:
    if depth % 10 == 0:
        kept.append(bytearray(5000))
    if depth > 1:
        descend(depth - 1)


def main() -> None:
    with memdeep.phase("descend"):
        descend(DEPTH)


thread = threading.Thread(target=main)
thread.start()
thread.join()

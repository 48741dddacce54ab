"""Two worker processes and the program allocate in rounds, enough for captures of some MB each.

With "until PATH" no round begins once that is there; with "wait" it waits for the end of its input.
"""

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor

import memdeep

MB = 1 << 20
KEPT: list[bytearray] = []


def churn(count: int) -> None:
    for number in range(count):
        bytes(1000 + number % 700)


def work(count: int) -> int:
    with memdeep.phase("工人"):
        churn(count)
        KEPT.append(bytearray(MB))
    return len(KEPT)


if __name__ == "__main__":
    rounds, count = map(int, sys.argv[1:3])
    context = multiprocessing.get_context(sys.argv[3])
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        for _ in range(rounds):
            if sys.argv[4:5] == ["until"] and os.path.exists(sys.argv[5]):
                break
            with memdeep.phase("回合"):
                list(pool.map(work, [count] * 2))
                churn(count)
                KEPT.append(bytearray(MB))
        if sys.argv[4:] == ["wait"]:
            print("ready", flush=True)
            sys.stdin.read()

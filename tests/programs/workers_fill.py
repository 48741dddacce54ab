"""Two worker processes and the program allocate in rounds, enough for captures of some MB each."""

import multiprocessing
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
            with memdeep.phase("回合"):
                list(pool.map(work, [count] * 2))
                churn(count)
                KEPT.append(bytearray(MB))
        if sys.argv[4:] == ["wait"]:
            print("ready", flush=True)
            sys.stdin.read()

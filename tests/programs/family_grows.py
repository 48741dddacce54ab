"""Forked workers, and the program, hold more and less in phases; workers write what they inherit.

The first argument is how much each allocates in passing, in thousands of small blocks a turn.
"""

import multiprocessing
import os
import sys
import time

import memdeep

MB = 1 << 20
INHERITED = [bytearray(256 << 10) for _ in range(24)]  # 6 MB, of which some is freed later
SMALL = [f"text {number}" * 5 for number in range(20_000)]


def churn(thousands: int) -> None:
    for number in range(1000 * thousands):
        bytes(600 + number % 1700)


def work(number: int, thousands: int) -> None:
    kept = []
    for turn in range(4):
        with memdeep.phase(f"工人 {turn}"):
            churn(thousands)
            for block in INHERITED[4 * number : 4 * number + 4]:
                for place in range(0, len(block), 4096):
                    block[place] = turn
            SMALL[1000 * turn : 1000 * turn + 1000] = []
            kept.append(bytearray((turn + 1) * MB))
            height = bytearray((6 - turn) * MB)
            time.sleep(0.15)
            del height
    os._exit(0)


def start(context: multiprocessing.context.BaseContext, number: int, thousands: int) -> object:
    worker = context.Process(target=work, args=(number, thousands))
    worker.start()
    return worker


if __name__ == "__main__":
    thousands = int(sys.argv[1])
    context = multiprocessing.get_context("fork")
    workers, kept = [], []
    for turn in range(5):
        with memdeep.phase(f"回合 {turn}"):
            if turn < 3:
                workers.append(start(context, turn, thousands))
            churn(thousands)
            kept.append(bytearray(2 * MB))
            del INHERITED[-2:]
            SMALL[-1500:] = []
            time.sleep(0.25)
    with memdeep.phase("等待"):
        for worker in workers:
            worker.join()

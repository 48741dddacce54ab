"""Keeps 60 MB and forks N workers, at most 24 at a time; some of many fail or are killed."""

import multiprocessing
import os
import signal
import sys
import time

from memdeep import phase

AT_A_TIME = 24


def work(number: int) -> None:
    held = [bytearray(100_000) for _ in range(50 + 20 * (number % 7))]
    if number % 13 == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    if number % 17 == 4:
        sys.exit(len(held) % 2 + 1)
    time.sleep(0.3)


def main(workers: int) -> None:
    context = multiprocessing.get_context("fork")
    with phase("load"):
        table = [bytearray(1_000_000) for _ in range(60)]
    with phase("search"):
        for first in range(0, workers, AT_A_TIME):
            numbers = range(first, min(first + AT_A_TIME, workers))
            started = [context.Process(target=work, args=(number,)) for number in numbers]
            for process in started:
                process.start()
            for process in started:
                process.join()
    assert len(table) == 60


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""A search in a `ProcessPoolExecutor` with two workers; the start method is the first word."""

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

from tasks import evaluate

from memdeep import phase


def search(pool):
    return {*pool.map(evaluate, range(12))}  # STARTS


if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with phase("load"):
        table = [b"t" * 100_000 for _ in range(100)]  # TABLE
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        with phase("search"):
            workers = search(pool)
        with phase("sum up"):
            print(len(workers), len(table))

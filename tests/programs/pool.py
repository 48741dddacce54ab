"""Works in processes started by the method named by its argument."""

import multiprocessing
import os
import sys


class Task:
    def __init__(self, number: int) -> None:
        self.number = number


def solve(task: Task) -> tuple[int, str]:
    return task.number**2, __name__


def leave(status: int) -> None:
    print("worker", os.path.basename(sys.argv[0]), sys.argv[1:], flush=True)
    sys.exit(status)


if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(1) as pool:
        print(pool.map(solve, [Task(number) for number in range(5)]), flush=True)
    process = context.Process(target=leave, args=(6,))
    process.start()
    process.join()
    print(process.exitcode)

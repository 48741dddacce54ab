"""Phases that keep, churn and free, in two threads: enough allocations for a capture of some MB."""

import sys
import threading

import memdeep

KEPT: list[object] = []


def churn(count: int) -> None:
    for number in range(count):
        bytes(1000 + number % 700)


def keep(count: int, size: int) -> None:
    KEPT.extend(bytearray(size) for _ in range(count))


def aside(rounds: int) -> None:
    for number in range(rounds):
        with memdeep.phase(f"线程_{number % 3}"):
            keep(20, 3000)
            churn(200)


rounds, count = map(int, sys.argv[1:3] or (3, 100))
other = threading.Thread(target=aside, args=(rounds,))
other.start()
for number in range(rounds):
    memdeep.checkpoint(f"加载_{number % 4}_BEFORE")
    keep(50, 5000)
    churn(count)
    memdeep.checkpoint(f"加载_{number % 4}_AFTER")
    with memdeep.phase("回测"):
        keep(1, 3_000_000)
        churn(count)
        del KEPT[: len(KEPT) // 3]
other.join()
print("kept", sum(map(sys.getsizeof, KEPT)), flush=True)
memdeep.checkpoint("结束")
if sys.argv[3:] == ["wait"]:
    print("ready", flush=True)
    sys.stdin.read()

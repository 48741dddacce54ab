"""Grows in phases of several threads, and waits at checkpoints for a byte on standard input."""

import os
import threading

import memdeep

kept = []
cache = {}


def load(size):
    kept.append(b"x" * size)


def 解析(count):
    return [str(number) * 40 for number in range(count)]


def work():
    cache["worker"] = bytearray(2_000_000)


def pause(label):
    memdeep.checkpoint(label)
    os.write(1, b".")
    os.read(0, 1)


load(1_500_000)
pause("before all")
with memdeep.phase("回测"):
    load(3_000_000)
    rows = 解析(20_000)
    thread = threading.Thread(target=work, name="worker")
    thread.start()
    thread.join()
    for day in range(4):
        memdeep.checkpoint("行情_START")
        load(700_000 + day)
        rows = 解析(5_000 + day)
        if day == 2:
            pause("in the middle")
        kept.pop()
        memdeep.checkpoint("行情_END")
    pause("after the days")
kept.clear()
pause("after all")

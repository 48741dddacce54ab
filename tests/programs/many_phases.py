"""Phases by number, each with parts inside: `many_phases.py PHASES REPEATS`, numbered from 1."""

import random
import sys

from memdeep import phase

random.seed(1)
phases, repeats = map(int, sys.argv[1:])
kept = []


def keep(number):
    kept.append([bytearray(random.randrange(1_000, 40_000)) for _ in range(20 + 7 * number % 90)])


def pass_through():
    return len([bytearray(60_000) for _ in range(random.randrange(10, 120))])


for number in range(1, phases + 1):
    name = f"阶段 {number:02}: load and transform" if number % 3 == 0 else f"stage {number}"
    for _ in range(repeats):
        with phase(name):
            if repeats > 1:
                kept.append(bytearray(random.randrange(8_000, 20_000)))
                continue
            keep(number)
            with phase("transform"):
                pass_through()
    if number % 7 == 0:
        kept.pop(0)

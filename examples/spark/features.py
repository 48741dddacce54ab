"""What runs in the Python workers of Spark, and keeps memory there from one task to the next."""

import memdeep

MB = 1_000_000
kept = []


def load(partition, rows):
    kept.append(bytearray((partition + 1) * 10 * MB))
    yield sum(rows)


def score(total):
    return total * 2


def train(rows):
    with memdeep.phase("fit"):
        kept.append(bytearray(5 * MB))
    yield len(list(rows))

"""Two functions that each share a line with the one they make: a lambda, a generator expression."""

import memdeep


def by_lambda(count: int) -> list[bytearray]:
    return (lambda: [*map(bytearray, [100_000] * count)])()


def by_generator(count: int) -> list[bytearray]:
    return list(bytearray(100_000) for _ in range(count))  # noqa: C400


with memdeep.phase("load"):
    kept = by_lambda(30), by_generator(40)

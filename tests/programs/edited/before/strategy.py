"""Finds things."""

MB = 1 << 20


def search():
    found = []
    for _ in range(20):
        found.append(bytes(MB))
    scores = [bytes(MB // 2) for _ in range(10)]
    return found + scores

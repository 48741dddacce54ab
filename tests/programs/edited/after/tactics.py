"""Finds things, and more of them."""

MB = 1 << 20


def search():
    found = []
    for _ in range(26):
        found.append(bytes(MB))
    scores = [bytes(MB // 2) for _ in range(10)]
    return found + scores

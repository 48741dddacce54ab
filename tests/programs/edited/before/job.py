"""The job before it was edited: see `../after`."""

from strategy import search

from memdeep import phase

MB = 1 << 20


def load_config():
    return [bytes(MB) for _ in range(30)]


def report():
    return [bytes(MB) for _ in range(2)]


def check(found):
    return [bytes(MB) for _ in found[:3]]


def main():
    kept = []
    with phase("加载config"):
        kept.append(load_config())
    with phase("search"):
        kept.append(search())
    with phase("overfit check"):
        kept.append(check(kept[-1]))
    with phase("warm up"):
        kept.append(bytes(5 * MB))
    with phase("report"):
        kept.append(report())
    with phase("mail"):
        kept.append(bytes(MB))


main()

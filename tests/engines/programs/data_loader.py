"""A loader of batches as torch's: in each epoch two forked workers read a data set of the parent.

They only read; but reading an object of Python's counts its references, which writes to its page.
"""

import multiprocessing

from memdeep import phase

ROWS = 400_000
WORKERS = 2
BATCHES = 20
context = multiprocessing.get_context("fork")


def load(data, indices, results):
    for batch in iter(indices.get, None):
        results.put(sum(x + y for x, y in data[batch::BATCHES]))


class Loader:
    def __init__(self, data):
        self.data = data

    def __iter__(self):
        indices, results = context.Queue(), context.Queue()
        workers = [
            context.Process(target=load, args=(self.data, indices, results)) for _ in range(WORKERS)
        ]
        for worker in workers:
            worker.start()  # STARTS
        for batch in range(BATCHES):
            indices.put(batch)
        for _ in range(BATCHES):
            yield results.get()
        for _ in workers:
            indices.put(None)
        for worker in workers:
            worker.join()


if __name__ == "__main__":
    with phase("load"):
        data = [(number + 0.5, number + 1.5) for number in range(ROWS)]  # DATA
    for epoch in range(3):
        with phase(f"epoch {epoch}"):
            print(sum(Loader(data)))

"""A search in joblib's loky with two workers."""

from joblib import Parallel, delayed
from tasks import evaluate

from memdeep import phase


def search():
    return {*Parallel(n_jobs=2)(delayed(evaluate)(number) for number in range(12))}  # STARTS


if __name__ == "__main__":
    with phase("search"):
        workers = search()
    print(len(workers))

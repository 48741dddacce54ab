"""Records two kinds of tasks and an actor of Ray: `python examples/ray_tasks.py` (`memdeep[ray]`).

The actor keeps 57 MB. Tasks of `load` return 55 MB in all, and tasks of `score` keep 36 MB in their
workers.
"""

import ray

import memdeep
from memdeep.integrations import ray as clusters

MB = 1_000_000
cache = {}


@ray.remote
def load(number):
    return b"x" * (number * MB)


@ray.remote
def score(number):
    with memdeep.phase("prepare"):
        cache[number] = b"x" * (number * MB)  # of the worker
    return number


@ray.remote
class Model:
    def __init__(self):
        self.weights = b"w" * (57 * MB)

    def predict(self, number):
        return number * len(self.weights)


def main():
    with clusters.recording("out") as run:
        ray.init(num_cpus=2, include_dashboard=False)
        model = Model.remote()
        print(len(ray.get([load.remote(number) for number in range(1, 11)])))
        print(sum(ray.get([score.remote(number) for number in range(1, 9)])))
        print(ray.get(model.predict.remote(2)))
    ray.shutdown()
    print(run.summary())
    print(run.report())  # out/report.html


if __name__ == "__main__":
    main()

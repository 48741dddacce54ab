"""Pickles an object of a class of `__main__`, and shows the source of a function of it."""

import inspect
import pickle


class Order:
    def __init__(self, size: int) -> None:
        self.size = size


def double(order: Order) -> int:
    return order.size * 2  # found by inspect


content = pickle.dumps(Order(21))
print(content)
print(double(pickle.loads(content)), pickle.loads(pickle.dumps(double)) is double)
print(inspect.getsource(double))
print(inspect.getsource(Order))

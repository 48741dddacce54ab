"""Calls all of `marks_library`, and shows that its functions look as they did."""

import asyncio
import importlib.resources
import inspect
import pickle
import sys

import marks_library as library
from marks_library import load


def own(value: int) -> int:
    """Defined in `__main__`."""

    def nested() -> int:
        return value

    return nested()


class Own:
    def method(self, value: int) -> int:
        return value

    @staticmethod
    def static(value: int) -> int:
        return value


print(load("a.json"), load("b", size=4), load(path="c", mode="slow"))
print(asyncio.run(library.fetch("x")))
print(list(library.numbers(2)), [next(library.numbers(5))])


async def collect() -> "list[int]":
    return [number async for number in library.later(2)]


print(asyncio.run(collect()))
with library.opened("file"):
    pass
service = library.Service()
print(service.method(1), service.of_class(2), library.Service.static(3), service.inherited(4))
print(library.Base().inherited(4), service.value, library.Service.Inner().method())
print(library.cached(1), library.cached.cache_info())
load(library.Unprintable())
print(own(6), Own().method(7), Own.static(8))

print(inspect.signature(load), load.__doc__, load.__name__, load.__module__)
print(inspect.getsource(load), inspect.getsource(own), inspect.getsource(Own.method))
print(pickle.loads(pickle.dumps(load)) is load, pickle.loads(pickle.dumps(own)) is own)
print(type(library.__loader__).__name__, library.__spec__.loader is library.__loader__)
print(importlib.resources.files("package").joinpath("part.py").is_file())
print(type(sys.modules["package"].__loader__).__name__, library.__file__, library.__cached__)


def outer(value: int) -> None:
    try:
        library.fail(value)
    except ZeroDivisionError as error:
        raise RuntimeError("and it failed") from error


outer(1)

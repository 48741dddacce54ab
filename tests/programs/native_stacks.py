"""Allocates through C in the ways that stacks of both kinds come about in."""

import copy
import json
import re
import sqlite3
import threading
import zlib

KEPT: list = []


def through_json_and_deepcopy(width: int) -> object:
    text = json.dumps({str(key): [key, {"x": str(key) * width}] for key in range(2000)})
    return copy.deepcopy(json.loads(text))


def in_threads() -> None:
    def work(width: int) -> None:
        KEPT.append(through_json_and_deepcopy(width))

    threads = [threading.Thread(target=work, args=(width,)) for width in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def nested(depth: int) -> object:
    return bytearray(3000) if depth == 0 else [nested(depth - 1)]


def generated(count: int) -> object:
    for size in range(count):
        yield bytearray(2000 + size)


def of_size(size: int) -> bytearray:
    return bytearray(2000 + size)


class Slots:
    """Python called from C: by constructors, operators, lookups, sorting."""

    def __init__(self) -> None:
        self.held = bytearray(5000)

    def __lt__(self, other: object) -> bool:
        KEPT.append(bytearray(3000))
        return False

    def __getattr__(self, name: str) -> bytearray:
        return bytearray(4000)


def called_from_c() -> None:
    KEPT.extend(sorted(Slots() for _ in range(10)))
    KEPT.append(Slots().anything)
    KEPT.append(list(map(of_size, range(50))))
    KEPT.append(re.sub("a", lambda match: "b" * 3000, "a" * 500))
    KEPT.append(sum((sorted(generated(5), key=str) for _ in range(20)), []))
    database = sqlite3.connect(":memory:")
    database.create_function("f", 1, lambda value: "z" * 3000)
    database.execute("create table t(x)")
    database.executemany("insert into t values(?)", ((number,) for number in range(500)))
    KEPT.append(database.execute("select f(x) from t").fetchall())
    KEPT.append(zlib.compress(bytes(10**6)))
    exec("KEPT.append([str(number) * 400 for number in range(500)])")


def in_extensions() -> None:
    """Extensions of the standard library; what they import makes many stacks by itself."""
    import asyncio  # noqa: F401
    import ctypes
    import decimal
    import email.mime.multipart
    import unittest.mock
    import xml.dom.minidom

    KEPT.append(decimal.Decimal(2) ** 4000 / 3)
    KEPT.append(email.mime.multipart.MIMEMultipart().as_bytes())
    KEPT.append(unittest.mock.create_autospec(decimal.Decimal))
    KEPT.append(xml.dom.minidom.parseString("<a>" + "<b c='d'>e</b>" * 500 + "</a>"))
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    compare = kind(lambda first, second: len(bytearray(2000)) - 2000)
    ctypes.CDLL(None).qsort((ctypes.c_int * 50)(), 50, 4, compare)


KEPT.append(through_json_and_deepcopy(5))
in_threads()
KEPT.append(nested(60))
called_from_c()
in_extensions()

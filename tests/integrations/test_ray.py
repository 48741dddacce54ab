"""The adapter for Ray without a cluster: `make test-ray` has one."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

import memdeep
from memdeep.errors import RecordingError

pytest.importorskip("ray")

from memdeep.inprocess.recording import DEFAULTS  # noqa: E402
from memdeep.integrations import ray as clusters  # noqa: E402
from memdeep.integrations import ray_worker  # noqa: E402
from memdeep.integrations.joining import Shared  # noqa: E402


class Info(NamedTuple):
    function: Any
    function_name: str
    max_calls: int


def called(method: Callable[..., Any]) -> Any:
    """Return what Ray calls for a method: a plain function, with the method as its attribute."""

    def executor(*args: Any) -> Any:
        return method(*args)

    executor.method = method  # type: ignore[attr-defined]
    return executor


def in_phase(function: Any, name: str, class_name: str = "") -> Any:
    tasks = ray_worker._Tasks(ray_worker.Wish(DEFAULTS))
    descriptor = SimpleNamespace(
        function_name=name,
        class_name=class_name,
        module_name="m",
        is_actor_method=lambda: bool(class_name),
    )
    find = tasks.around(lambda _manager, _job_id, _descriptor: Info(function, name, 0))
    return find(None, None, descriptor).function


async def waits(value: int) -> int:
    await asyncio.sleep(0)
    return value


async def counts(most: int) -> Any:
    for value in range(most):
        yield value


def test_what_is_called_keeps_its_shape_and_is_a_phase(tmp_path: Path) -> None:
    async def collected() -> list[int]:
        return [value async for value in in_phase(called(counts), "counts", "A")(3)]

    with memdeep.recording(tmp_path / "out", native=False) as run:
        assert in_phase(lambda value: value, "main.<locals>.plain")(7) == 7
        assert in_phase(called(lambda value: value), "get", "module.<locals>.A")(8) == 8
        waiting = in_phase(called(waits), "waits", "A")
        assert inspect.iscoroutinefunction(waiting)
        assert asyncio.run(waiting(9)) == 9
        assert asyncio.run(collected()) == [0, 1, 2]
        assert list(in_phase(called(iter), "iter", "A")([1, 2])) == [1, 2]
    paths = [phase.path for phase in run.phases if phase.kind == "span"]
    assert paths == ["plain", "A.get", "A.waits", "A.counts", "A.iter"]


def test_the_rest_of_an_environment_is_kept() -> None:
    given = {"env_vars": {"A": "1"}, "pip": ["x"], "worker_process_setup_hook": "a.b"}
    found = clusters.runtime_env("out", given)
    assert found == json.loads(json.dumps(found))
    assert (found["pip"], found["env_vars"]["A"]) == (["x"], "1")
    wish = ray_worker.Wish.decode(found["env_vars"][ray_worker.VARIABLE])
    assert (wish.then, wish.dir, wish.run) == ("a.b", str(Path("out").absolute()), None)
    again = clusters.runtime_env("out", found)
    assert ray_worker.Wish.decode(again["env_vars"][ray_worker.VARIABLE]).then == "a.b"
    assert given["env_vars"] == {"A": "1"}
    with pytest.raises(RecordingError, match="has a function as its"):
        clusters.runtime_env("out", {"worker_process_setup_hook": print})


def test_a_wish_is_read_as_it_was_written() -> None:
    wish = ray_worker.Wish(DEFAULTS.but(native=False), Shared("a", "b", "c"), then="x.y")
    found = ray_worker.Wish.decode(wish.encode())
    assert found.encode() == wish.encode()
    assert found.how.native is False
    assert (found.run, found.dir, found.then) == (wish.run, wish.dir, wish.then)

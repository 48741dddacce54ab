"""What users may rely on: the public names and their signatures."""

from __future__ import annotations

import inspect

import memdeep


def test_the_public_names_are_these_and_no_more() -> None:
    assert sorted(memdeep.__all__) == ["__version__", "checkpoint", "phase"]
    public = {name for name in vars(memdeep) if not name.startswith("_")}
    assert public - {"record"} <= {"checkpoint", "phase", "cli", "model"} | {
        name for name, value in vars(memdeep).items() if inspect.ismodule(value)
    }


def test_the_signatures_stay() -> None:
    checkpoint = inspect.signature(memdeep.checkpoint)
    assert list(checkpoint.parameters) == ["label", "note"]
    assert checkpoint.parameters["note"].default is None
    assert list(inspect.signature(memdeep.phase).parameters) == ["label"]


def test_the_public_names_are_documented() -> None:
    assert inspect.getdoc(memdeep.checkpoint)
    assert inspect.getdoc(memdeep.phase)

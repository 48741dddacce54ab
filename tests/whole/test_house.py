"""The measures of a package are those of its files, on a package small enough to count by hand."""

from __future__ import annotations

from pathlib import Path

import house
import pytest
from house import House

FILES = {
    "__init__.py": '"""The face."""\n',
    "cli.py": '''
"""Talks."""

from toy.run import options
from toy.run.options import Options


def main(argv):
    given = Options(start_at=argv[0])
    print("--start-at", given.start_at, "the word start-at in a sentence")
''',
    "run/__init__.py": "",
    "run/options.py": '''
"""Whether to start, and where: start_at."""

import toy
from toy.run import _built


class Options:
    """What is asked for."""

    def __init__(self, *, a=0, b=0, c=0, d=0, e=0, start_at=""):
        """Keep them."""
        from toy import sums

        self.start_at = start_at  # start_at
''',
    "sums.py": '''"""Adds."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import toy.run.options
'''
    + "\n" * 40,
}


@pytest.fixture
def toy(tmp_path: Path) -> House:
    for name, content in FILES.items():
        path = tmp_path / "toy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return House(tmp_path / "toy")


def test_a_module_is_a_file_that_holds_something(toy: House) -> None:
    assert toy.modules() == ["__init__", "cli", "run.options", "sums"]


def test_all_imports_count_and_those_of_the_face_and_of_what_is_no_file_too(toy: House) -> None:
    assert toy.imports("cli") == {"toy.run.options"}
    assert toy.own_imports("run.options") == {"__init__", "run", "sums"}
    assert toy.own_imports("sums") == {"run.options"}
    assert toy.importers("run.options") == ["cli", "sums"]


def test_cycles_arrows_and_splinters_are_found(toy: House) -> None:
    assert toy.cycles() == [["run.options", "sums"]]
    assert toy.arrows() == {
        ("cli", "run"): 1,
        ("run", "__init__"): 1,
        ("run", "sums"): 1,
        ("sums", "run"): 1,
    }
    assert toy.splinters() == ["__init__", "cli"]


def test_an_option_passes_the_files_that_name_it_in_code(toy: House) -> None:
    passed = {path.name: count for path, count in house.trip(toy, "--start-at").items()}
    assert passed == {"cli.py": 3, "options.py": 3}


def test_functions_and_docstrings_are_counted(toy: House) -> None:
    shown = dict(house.figures(toy))
    assert shown["modules"] == "4"
    assert shown["largest module"] == "45 lines (sums)"
    assert shown["functions"] == "2"
    assert shown["lines of a function"] == "median 4, p95 5, most 5"
    assert shown["functions with over 5 parameters"] == "1"
    assert shown["functions and classes with a docstring"] == "67 %"
    assert shown["docstrings that begin with What, Whether, As `"] == "2 of 7"

"""The code that is the program itself is found wherever it lies; none of it is executed."""

from __future__ import annotations

import os
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.record.program import WhatToRun
from memdeep.run.own_code import CODE, OwnCode, called_module, own_code

PIP = r"""#!/env/bin/python
# -*- coding: utf-8 -*-
import re
import sys
from tool.cli import main
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\.pyw|\.exe)?$', '', sys.argv[0])
    sys.exit(main())
"""
UV = """#!/env/bin/python
import sys
from tool.cli import main
if __name__ == "__main__":
    if sys.argv[0].endswith("-script.pyw"):
        sys.argv[0] = sys.argv[0][:-11]
    elif sys.argv[0].endswith(".exe"):
        sys.argv[0] = sys.argv[0][:-4]
    sys.exit(main())
"""
LONG_SHEBANG = (
    "#!/bin/sh\n'''exec' \"/a very/long/path/python\" \"$0\" \"$@\"\n' '''\n"
    + PIP.partition("\n")[2]
)
BARE = "#!/env/bin/python\nfrom tool import cli\n\ncli.main.run()\n"
RAISES = "from tool.cli import main as run\nraise SystemExit(run())\n"
SETUPTOOLS = """#!/env/bin/python
# EASY-INSTALL-ENTRY-SCRIPT: 'tool==1.0','console_scripts','tool'
__requires__ = 'tool==1.0'
import sys
from pkg_resources import load_entry_point
def importlib_load_entry_point(spec, group, name):
    pass
if __name__ == '__main__':
    sys.exit(load_entry_point('tool==1.0', 'console_scripts', 'tool')())
"""
OWN_SCRIPTS = [
    "import pandas\nfrom tool import main\nmain()\n",
    "from tool import main\nmain(3)\n",
    "from tool import main, other\nmain()\n",
    "from tool import main\nrows = [main() for _ in range(3)]\n",
    "from tool import main\ndef work():\n    main()\nwork()\n",
    "from .cli import main\nmain()\n",
    "print('tool')\n",
    "",
    "not Python at all",
    "\0",
]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `site-packages` with the distribution `tool`, on the path."""
    site = tmp_path / "env" / "lib" / "python3" / "site-packages"
    (site / "tool").mkdir(parents=True)
    (site / "tool" / "__init__.py").touch()
    (site / "tool" / "cli.py").write_text("raise RuntimeError('executed')\n")
    (site / "tool-1.0.dist-info").mkdir()
    (site / "tool-1.0.dist-info" / "METADATA").write_text("Name: tool\nVersion: 1.0\n")
    entries = "[console_scripts]\ntool = tool.cli:main\n"
    (site / "tool-1.0.dist-info" / "entry_points.txt").write_text(entries)
    (tmp_path / "env" / "bin").mkdir()
    monkeypatch.syspath_prepend(site)
    return site


def script(site: Path, content: str) -> Path:
    path = site.parents[2] / "bin" / "tool"
    path.write_text(content)
    return path


def of_script(path: object) -> OwnCode:
    return own_code(WhatToRun(WhatToRun.SCRIPT, str(path), ()))


def of_module(name: str) -> OwnCode:
    return own_code(WhatToRun(WhatToRun.MODULE, name, ()))


@pytest.mark.parametrize("content", [PIP, UV, LONG_SHEBANG, BARE, RAISES, SETUPTOOLS])
def test_the_package_that_a_console_script_calls_is_the_program(site: Path, content: str) -> None:
    path = script(site, content)
    assert of_script(path) == OwnCode((str(site / "tool"),), launcher=str(path))


@pytest.mark.parametrize("content", OWN_SCRIPTS)
def test_a_script_that_does_more_is_the_program_itself(site: Path, content: str) -> None:
    path = script(site, content)
    assert of_script(path) == OwnCode((str(path),))


def test_a_script_whose_package_is_not_installed_here_is_no_launcher(site: Path) -> None:
    path = script(site, PIP.replace("tool.cli", "of_another_environment.cli"))
    assert of_script(path) == OwnCode((str(path),))


def test_a_script_by_a_relative_path_has_the_name_that_tracebacks_show(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(site, PIP)
    monkeypatch.chdir(site)
    assert of_script("../../../bin/tool").launcher == f"{site}/../../../bin/tool"


def test_a_script_within_a_package_stands_for_the_package(site: Path) -> None:
    assert of_script(site / "tool" / "cli.py") == OwnCode((str(site / "tool"),))


def test_a_module_stands_for_its_outermost_package(site: Path) -> None:
    (site / "single.py").touch()
    (site / "shared" / "mine").mkdir(parents=True)
    (site / "shared" / "mine" / "__init__.py").touch()
    assert of_module("tool.cli") == of_module("tool") == OwnCode((str(site / "tool"),))
    assert of_module("single") == OwnCode((str(site / "single.py"),))
    assert of_module("shared.mine") == OwnCode((str(site / "shared" / "mine"),))
    assert of_module("no_such_module") == of_module("sys") == of_module("..") == OwnCode()


def test_an_editable_install_is_found_by_its_own_finder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib.util import spec_from_file_location

    package = tmp_path / "project" / "src" / "edited"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()

    class Finder:
        @classmethod
        def find_spec(cls, name: str, path: object = None, target: object = None) -> object:
            if name == "edited":
                return spec_from_file_location(name, package / "__init__.py")
            return None

    class Broken:
        pass

    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path, Finder])
    assert of_module("edited") == OwnCode((str(package),))


def test_code_and_the_standard_input() -> None:
    assert own_code(WhatToRun(WhatToRun.CODE, "pass", ())) == OwnCode((CODE,))
    assert of_script("-") == OwnCode()


def test_what_cannot_be_read_calls_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # reading it would wait for ever
    (tmp_path / "long").write_text(PIP + "#" * 100_000)
    for name in ("pipe", "long", "missing", "."):
        assert called_module(tmp_path / name) is None


def test_only_a_command_is_looked_for_among_those_that_are_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That takes longer than all else before a program starts: a script of the user's is none."""
    asked: list[str] = []

    def entry_points(*, name: str) -> EntryPoints:
        asked.append(name)
        return EntryPoints([EntryPoint(name, "known.cli:main", "console_scripts")])

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
    text = "import known.cli\nprint(known.cli)\n"
    (tmp_path / "script.py").write_text(text)
    (tmp_path / "command").write_text(f"#!/usr/bin/python\n{text}")
    (tmp_path / "other").write_text("#!/usr/bin/python\nprint()\n")
    assert called_module(tmp_path / "script.py") is None
    assert not asked
    assert called_module(tmp_path / "command") == "known.cli"
    assert called_module(tmp_path / "command") == "known.cli"
    assert called_module(tmp_path / "other") is None
    assert asked == ["command", "other"]


def test_a_working_directory_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert of_script("/srv/prog.py") == OwnCode(("/srv/prog.py",))


@examples(100)
@given(content=st.binary() | st.text().map(str.encode))
def test_any_file_is_a_script_or_not(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(content)
    assert called_module(path) is None or content

"""Pages and comments name what exists, and what the pages show works."""

from __future__ import annotations

import base64
import gzip
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from running import ROOT, TESTS, environment
from shown import blocks, commands, follow

import memdeep
from memdeep.cli.help import COMMANDS
from memdeep.cli.options import OPTIONS

DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md"]
ON_ENGINES = {DOCS / "howto" / "ray.md"}  # by targets of their own, such as `make test-ray`
FOLLOWED = [
    DOCS / "tutorial.md",
    *(page for page in sorted((DOCS / "howto").glob("*.md")) if page not in ON_ENGINES),
]
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)|(?:src|srcset|href)=\"([^\"#]+)\"")
MADE_BY_THE_READER = "fixed/"  # of the tutorial
GENERATED = ("commands", "options", "python", "report_json")  # by docs/hooks/reference.py
COMMENTED = [
    *(ROOT / "Makefile", *sorted((ROOT / "native").glob("*.?pp"))),
    *sorted(path for path in (ROOT / "templates").rglob("*.*") if path.suffix != ".json"),
]
TOPS = "tests|memdeep|docs|benchmarks|examples|native|templates"
# A path from the top of the project, or any other with a directory that ends with `.py`.
PATH = re.compile(rf"(?<![\w./~-])(?:(?:{TOPS})/[\w./-]*\w|[\w-]+/[\w./-]*\.py\b)")
RELIABILITY = ROOT / "docs" / "reliability.md"
# `tests/run/test_signals.py: what_happens[case]`, where either half may be missing.
TEST = re.compile(r"`(?:(tests/[\w/]+\.py)(?:: )?)?([\w…]*)(?:\[\w+\])?`")


def names_in(files: list[Path]) -> str:
    """The names of all functions in ``files``, one a line."""
    return "\n".join(
        name for path in files for name in re.findall(r"def (\w+)", path.read_text("utf-8"))
    )


@pytest.mark.parametrize("page", [*PAGES, *COMMENTED], ids=lambda path: path.name)
def test_every_path_that_is_named_exists(page: Path) -> None:
    named = set(PATH.findall(page.read_text("utf-8")))
    named -= {path for path in named if path.startswith(MADE_BY_THE_READER)}
    assert not {path for path in named if not (ROOT / path).exists()}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = [first or second for first, second in LINK.findall(page.read_text("utf-8"))]
    near = {link for link in links if "://" not in link}
    generated = {DOCS / "reference" / f"{name}.md" for name in GENERATED}
    targets = {link: (page.parent / link).resolve() for link in near}
    assert not {link for link, to in targets.items() if not (to.exists() or to in generated)}


@pytest.mark.parametrize("page", FOLLOWED, ids=lambda path: path.stem)
def test_what_a_page_shows_works(page: Path, tmp_path: Path) -> None:
    follow(page, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_sample_names_the_line_of_the_program_that_is_shown(page: Path) -> None:
    text = page.read_text("utf-8")
    programs = dict(re.findall(r'```python title="([\w.]+)"\n(.*?)```', text, re.DOTALL))
    for name, number, source in re.findall(r"(\w+\.py):(\d+) in [^:\n]+: (.+)", text):
        if name in programs:
            assert programs[name].splitlines()[int(number) - 1].strip() == source


def test_no_command_is_left_out() -> None:
    """Those of the README and of the tutorial in 中文 are tried elsewhere, or are the same."""
    tried = {*FOLLOWED, *ON_ENGINES, DOCS / "zh" / "tutorial.md", ROOT / "README.md"}
    assert not [page for page in {*PAGES} - tried if commands(page)]


def test_the_tutorials_show_the_same() -> None:
    assert blocks(DOCS / "zh" / "tutorial.md") == blocks(DOCS / "tutorial.md")


def test_the_site_has_every_page() -> None:
    """The list of `mkdocs.yml` has each page once, and those that are made at the build."""
    listed = re.findall(r": ([\w/]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    pages = [str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")]
    assert sorted(listed) == sorted([*pages, *(f"reference/{name}.md" for name in GENERATED)])


def test_the_reference_has_every_option_and_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS / "hooks"))
    pages = importlib.import_module("reference").pages()
    assert set(pages) == set(GENERATED)
    for option in OPTIONS:
        assert f"`--{option.name}" in pages["options"]
    for command in COMMANDS:
        assert f"## memdeep {command}\n" in pages["commands"]
    assert "usage: memdeep watch" in pages["commands"]
    for name in memdeep.__all__[2:]:
        assert name == "__version__" or f"## {name}\n" in pages["python"]


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    own = ROOT / ".venv-docs" / "bin" / "python"  # `make docs` makes it
    python = str(own) if own.exists() else sys.executable
    command = [python, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    if "No module named mkdocs" in done.stderr:
        pytest.skip("MkDocs is not installed: `make docs` does it")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "reference" / "options.html").exists()


def test_the_sample_report_names_no_machine() -> None:
    sample = DOCS / "sample" / "report.html"
    assert sample.stat().st_size <= 600 << 10
    for picture in ("page-light.webp", "page-dark.webp", "terminal.svg"):
        assert (DOCS / "images" / picture).stat().st_size <= 150 << 10
    text = sample.read_text("utf-8")
    packed = re.findall(r'<script type="application/gzip"[^>]*>([\w+/=]+)<', text)
    assert packed
    for block in (text, *(gzip.decompress(base64.b64decode(each)).decode() for each in packed)):
        assert not re.search(r"/root/|/home/(?!you/)|/Users/|/tmp/memdeep-|python-build", block)


def test_the_page_on_reliability_names_tests_that_exist() -> None:
    """In the last column of its tables, where `…` stands for any beginning or end of a name.

    A function of a program in `tests/programs` may be named as well: it is a case of a test.
    """
    blocks = [block.splitlines() for block in RELIABILITY.read_text("utf-8").split("\n\n")]
    rows = [row for head, *rows in blocks if head.endswith("| Test |") for row in rows]
    named = [match for row in rows for match in TEST.findall(row.split(" | ")[-1])]
    assert len(named) > 80
    everywhere = names_in(sorted(TESTS.rglob("*.py")))
    for file, name in named:
        known = names_in([ROOT / file]) if file else everywhere
        assert re.search(name.replace("…", r"\w*"), known), f"{file}: {name}"

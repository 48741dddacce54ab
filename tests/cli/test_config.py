"""Options from files: which file counts, what it may say, and where a value is said to be from."""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from memdeep.cli import config
from memdeep.cli.options import BY_NAME, OPTIONS, Option, Place, Settings, problem, toml_text
from memdeep.cli.settings import Config, load, merge
from memdeep.errors import EXIT_USAGE, MemdeepError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ALL_KINDS = """\
native = false
warning-mb = 800
sample_interval = 0.02
output = "runs/last"
mark-call = [
  "json.load",
  "learning:*",
]
focus = ["numpy"]
start-at = "加载config_BEFORE"
backend = "rss"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory the search does not leave."""
    (tmp_path / ".git").mkdir()
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def values(loaded: Config) -> dict[str, object]:
    return {setting.name: setting.value for setting in loaded.settings}


def complaint(directory: Path) -> tuple[str, str]:
    with pytest.raises(MemdeepError) as caught:
        load(directory)
    error = caught.value
    assert error.exit_status == EXIT_USAGE
    assert error.message.endswith(".")
    assert "\n" not in error.message + error.hint
    return error.message, error.hint


def shown(width: int, settings: Settings, *, terminal: bool = False) -> str:
    file = io.StringIO()
    colours = "standard" if terminal else None
    console = Console(
        file=file, width=width, force_terminal=terminal, color_system=colours, _environ={}
    )
    console.print(config.table(settings, console))
    return file.getvalue()


def test_without_a_file_the_defaults_are_in_force(project: Path) -> None:
    loaded = load(project)
    assert loaded == Config()
    settings = merge({}, loaded)
    assert [setting.name for setting in settings] == [option.name for option in OPTIONS]
    assert {setting.origin for setting in settings} == {"default"}
    assert settings.flag("native")
    assert settings.value("sample-interval") == 0.05
    assert settings.path("output") is None
    assert "no memdeep.toml" in config.place(loaded).plain


def test_both_files_hold_the_same_options(project: Path) -> None:
    own = write(project / "own" / "memdeep.toml", ALL_KINDS)
    other = write(project / "other" / "pyproject.toml", f"[tool.memdeep]\n{ALL_KINDS}")
    one, two = load(own.parent), load(other.parent)
    assert values(one) == {**values(two), "output": own.parent / "runs/last"}
    assert values(two) == {
        "native": False,
        "warning-mb": 800,
        "sample-interval": 0.02,
        "output": other.parent / "runs/last",
        "mark-call": ("json.load", "learning:*"),
        "focus": ("numpy",),
        "start-at": "加载config_BEFORE",
        "backend": "rss",
    }


def test_every_setting_says_the_line_it_is_from(project: Path) -> None:
    own = write(project / "memdeep.toml", ALL_KINDS)
    places = {setting.name: setting.origin for setting in load(project).settings}
    assert places["native"] == f"{own}:1"
    assert places["sample-interval"] == f"{own}:3"
    assert places["mark-call"] == f"{own}:5"
    assert places["focus"] == f"{own}:9"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[tool.other]\nnative = 1\n[tool.memdeep]\nnative = true\n", 4),
        ("[tool.memdeep]\nfocus = ['''\nnative = false\n''']\nnative = true\n", 5),
        ("[tool.memdeep]\n# native = false\n'native' = true\n", 3),
        ("# memdeep\ntool.memdeep.native = true\n", 2),
        ("[tool]\nmemdeep = { open = true, native = true }\n", 2),
        ("[tool.memdeep]\r\nopen = true\r\nnative = true\r\n", 3),
    ],
)
def test_the_line_is_right_in_strange_files(project: Path, text: str, line: int) -> None:
    path = project / "pyproject.toml"
    path.write_bytes(text.encode())
    settings = {setting.name: setting for setting in load(project).settings}
    assert (settings["native"].value, settings["native"].origin) == (True, f"{path}:{line}")


def test_the_line_is_left_out_where_it_cannot_be_told(project: Path) -> None:
    path = write(project / "memdeep.toml", '"nat\\u0069ve" = false\n')
    (setting,) = load(project).settings
    assert (setting.origin, setting.file) == (str(path), path)


def test_the_nearest_file_wins_and_is_the_only_one(project: Path) -> None:
    write(project / "memdeep.toml", "native = false\nopen = true")
    write(project / "a" / "pyproject.toml", "[tool.memdeep]\nquiet = true")
    write(project / "a" / "b" / "pyproject.toml", "[tool.other]\nmemdeep = 3")
    assert values(load(project / "a" / "b")) == {"quiet": True}
    assert values(load(project)) == {"native": False, "open": True}


def test_the_own_file_goes_before_the_projects(project: Path) -> None:
    write(project / "pyproject.toml", "[tool.memdeep]\nquiet = true")
    write(project / "memdeep.toml", "open = true")
    assert values(load(project)) == {"open": True}


def test_the_search_ends_at_the_repository(project: Path) -> None:
    write(project / "memdeep.toml", "open = true")
    (project / "repository" / "src").mkdir(parents=True)
    write(project / "repository" / ".git", "gitdir: elsewhere")
    assert load(project / "repository" / "src") == Config()


def test_a_broken_project_file_that_does_not_name_memdeep_is_left_alone(project: Path) -> None:
    write(project / "pyproject.toml", "[tool.other\n")
    assert load(project) == Config()


def test_a_removed_working_directory_has_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert load(Path(".")) == Config()


def test_the_command_line_wins(project: Path) -> None:
    path = write(project / "memdeep.toml", "native = false\nfocus = ['a', 'b']\nwarning-mb = 5\n")
    given = {"focus": ["c"], "warning_mb": None, "open": True, "output": Path("out")}
    settings = merge(given, load(project))
    origins = {setting.name: setting.origin for setting in settings}
    assert settings.value("focus") == ("c",)
    assert settings.value("warning-mb") == 5
    assert settings.of(Place.RUN)["warning_bytes"] == 5 * 2**20
    assert settings.flag("open")
    assert not settings.flag("native")
    assert settings.path("output") == Path("out")
    assert origins["focus"] == origins["open"] == origins["output"] == "command line"
    assert origins["native"] == f"{path}:1"
    assert origins["quiet"] == "default"


def test_a_name_that_is_no_option_cannot_be_merged() -> None:
    with pytest.raises(KeyError):
        merge({"force": True}, Config())


def test_another_name_of_an_option_is_that_option(project: Path) -> None:
    write(project / "memdeep.toml", "deep = true")
    assert merge({}, load(project)).flag("trace-python-allocators")


@pytest.mark.parametrize(
    ("text", "sentence", "hint"),
    [
        ("\nnativ = true", ":2 sets 'nativ', which is no option.", "Did you mean native?"),
        ("warn_mb = 3", ":1 sets 'warn_mb', which is no option.", "Did you mean warning-mb?"),
        ("zzz = 3", ":1 sets 'zzz', which is no option.", "The options are native, trace-"),
        ("force = true", ":1 sets 'force', which is no option.", "Give --force on the command"),
        ("[tool.memdeep]", " sets 'tool', which is no option.", "without [tool.memdeep]"),
        ("native = 1", ":1: native must be true or false.", "native = true"),
        ("warning-mb = '8'", ":1: warning-mb must be a number.", "warning-mb = 800"),
        ("warning-mb = true", ":1: warning-mb must be a number.", "warning-mb = 800"),
        ("warning-mb = nan", ":1: warning-mb must be between", "warning-mb = 800"),
        ("sample-interval = 1", ":1: sample-interval must be between 0.001 and 0.05.", "= 0.05"),
        ("focus = 'json'", ":1: focus must be a list of texts.", 'focus = ["json"]'),
        ("focus = ['a', 1]", ":1: focus must be a list of texts.", 'focus = ["first", "second"]'),
        ("backend = 'x'", ":1: backend must be one of memray, tracemalloc, rss.", '"memray"'),
        ("output = ''", ":1: output must be a path.", "output = "),
        (
            "deep = true\ntrace_python_allocators = false",
            ":2 sets trace-python-allocators a",
            "one",
        ),
        (
            "open = true\nopen = true",
            " is not valid TOML at line 2: cannot overwrite",
            "one a line",
        ),
        ("open = true\n\nnative =", " is not valid TOML at line 3: invalid value.", "one a line"),
        ("focus = [\n'a',\n", " is not valid TOML at line ", "one a line"),
        ("x = " + "[" * 5000, " is not valid TOML: ", "one a line"),
        ('"\\u001b[31m\\n" = 1', " sets '␛[31m␊', which is no option.", "The options are"),
    ],
)
def test_a_mistake_is_one_sentence_with_a_hint(
    project: Path, text: str, sentence: str, hint: str
) -> None:
    path = write(project / "memdeep.toml", text)
    message, advice = complaint(project)
    assert message.startswith(f"{path}{sentence}")
    assert hint in advice


def test_a_section_that_is_no_table(project: Path) -> None:
    write(project / "pyproject.toml", "[tool]\nmemdeep = true")
    assert "[tool.memdeep] must be a table." in complaint(project)[0]


def test_a_file_that_is_not_utf_8(project: Path) -> None:
    (project / "memdeep.toml").write_bytes(b"open = true\n# \xff\n")
    assert "is not UTF-8 at line 2" in complaint(project)[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(project: Path) -> None:
    write(project / "memdeep.toml", "").chmod(0)
    assert complaint(project)[0].startswith("Cannot read")


def test_the_table_fits_80_columns_and_tells_the_origin(project: Path) -> None:
    path = write(project / ("long" * 30) / "memdeep.toml", ALL_KINDS)
    loaded = load(path.parent)
    text = shown(80, merge({"mark-line": ["x" * 200, "\x1b[31m"]}, loaded))
    lines = text.splitlines()
    assert max(len(line) for line in lines) <= 80
    assert "\x1b" not in text
    rows = {line.split()[0]: line for line in lines if line.strip() and line[0] != " "}
    assert re.search(r" false +memdeep\.toml:1\b", rows["native"])
    assert re.search(r" false +default", rows["open"])
    assert re.search(r" – +default", rows["critical-mb"])
    assert "command line" in rows["mark-line"]
    assert config.place(loaded).plain == f"Read from: {path}"


def test_the_table_links_to_the_file(project: Path) -> None:
    path = write(project / "memdeep.toml", ALL_KINDS)
    text = shown(80, merge({}, load(project)), terminal=True)
    assert re.search(rf";{path.as_uri()}\x1b\\\S*memdeep\.toml:1\b", text)
    assert "\x1b]8;" not in shown(80, merge({}, load(project)))


def test_a_wide_table_explains_the_options() -> None:
    assert OPTIONS[0].help in shown(140, merge({}, Config()))


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_a_default_is_a_value_its_option_takes(option: Option) -> None:
    default = list(option.default) if isinstance(option.default, tuple) else option.default
    assert default is None or problem(option, default) is None
    assert option.destination.isidentifier()
    assert BY_NAME[option.name] is option


@example("\u202e\x1b[31m\u00ad\uaaf7", 1.0)
@given(st.text(st.characters(blacklist_categories=("Cs",))), st.floats(0.001, 1e9))
def test_a_shown_value_is_toml(text: str, number: float) -> None:
    content = f"text = {toml_text(text)}\nnumber = {toml_text(number)}\nlist = {toml_text((text,))}"
    assert tomllib.loads(content) == {"text": text, "number": number, "list": [text]}


def test_the_table_speaks_the_language_of_the_terminal(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    text = shown(80, merge({"native": False}, load(project)))
    assert text.split()[:3] == ["选项", "取值", "来源"]
    assert re.search(r"^native +false +命令行", text, re.MULTILINE)
    assert "default" not in text
    assert config.place(load(project)).plain.startswith("从这里往上的目录中没有 memdeep.toml")

"""What is installed: wheel and sdist hold the templates, and an installed memdeep renders."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from running import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# For what must not compile: it would replace what others use meanwhile, and take its time.
# What builds it is in this environment already: `make install` was without that.
INSTALL = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
INSTALL += ["--disable-pip-version-check", "--target"]
NO_COMPILER = {**os.environ, "CC": "/bin/false", "CXX": "/bin/false"}
HOOK = "memdeep_children.pth"
HOOK_SOURCE = ROOT / "memdeep/record/children.pth"
TEMPLATES = sorted(
    path.relative_to(ROOT).as_posix() for path in (ROOT / "templates").rglob("*") if path.is_file()
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the sdist, and the wheel built from it, which leaves nothing else.

    It is compiled without optimizations: those took most of half a minute.
    """
    directory, temporary = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("temporary")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(directory)]
    env = {**os.environ, "TMPDIR": str(temporary)}
    for name, usual in (("CC", "cc"), ("CXX", "c++")):
        if compiler := shutil.which(os.environ.get(name, usual)):
            quick = tmp_path_factory.mktemp("quick") / usual
            quick.write_text(f'#!/bin/sh\nexec {shlex.quote(compiler)} "$@" -O0\n')
            quick.chmod(0o755)
            env[name] = str(quick)
    done = subprocess.run([*command, str(ROOT)], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(temporary.iterdir()) == []
    return directory


def test_the_wheel_holds_templates_typing_and_licence(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f"memdeep/{template}" for template in TEMPLATES} <= names
    assert {"memdeep/py.typed", "memdeep/schema/report-2.schema.json"} <= names
    assert {"memory_monitor.py", HOOK} <= names
    assert any(name.endswith("/share/man/man1/memdeep.1") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_line_for_child_processes_is_silent(tmp_path: Path) -> None:
    """Where no run is named, where one is named that is gone, and where memdeep is gone."""
    shutil.copy(HOOK_SOURCE, tmp_path / HOOK)
    program = "import site, sys; site.addsitedir(sys.argv[1])"
    for options in ((), ("-S", "-I")):
        for variables in ({}, {"MEMDEEP_TREE": "/no/such"}):
            done = subprocess.run(
                [sys.executable, *options, "-c", program, str(tmp_path)],
                env={**os.environ, **variables},
                capture_output=True,
                check=False,
            )
            assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_an_editable_install_has_the_line_for_child_processes(tmp_path: Path) -> None:
    command = [*INSTALL, str(tmp_path), "--editable", str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=NO_COMPILER)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / HOOK).read_bytes() == HOOK_SOURCE.read_bytes()


def test_one_compiled_wheel_serves_all_pythons(built: Path) -> None:
    if shutil.which(os.environ.get("CXX", "c++")) is None:
        pytest.skip("there is no C++ compiler")
    (wheel,) = built.glob("*.whl")
    assert "-cp310-abi3-" in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert sorted(name for name in names if name.endswith(".so")) == [
        "memdeep/heap/replay/_replay.abi3.so",
        "memdeep/record/_holders.abi3.so",
    ]


def test_without_a_compiler_the_wheel_is_pure(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    command += ["--disable-pip-version-check", "--wheel-dir", str(tmp_path), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, env=NO_COMPILER)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert not any(name.endswith(".so") for name in archive.namelist())


@pytest.mark.parametrize("musl", [False, True])
def test_on_musl_nothing_is_required_that_has_no_wheels_there(
    monkeypatch: pytest.MonkeyPatch, musl: bool
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    hatch_build = importlib.import_module("hatch_build")
    monkeypatch.setattr(hatch_build, "platform_tags", lambda: ["musllinux_1_2_x86_64"] * musl)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    fields = dict(project["project"])
    config = project["tool"]["hatch"]["metadata"]["hooks"]["custom"]
    hatch_build.DependenciesHook(str(ROOT), config).update(fields)
    names = {re.split(r"[^\w-]", word)[0] for word in fields["dependencies"]}
    assert names >= {"memray", "psutil", "jinja2", "rich"}
    assert (names & {"symbolic", "cffi", "multi-demangle", "lz4"} == set()) is musl


@pytest.mark.parametrize("python", ["3.10", "3.14", "3.15"])
@pytest.mark.parametrize("system", ["Linux", "Darwin", "Windows"])
def test_lz4_is_required_where_there_are_wheels_of_it(
    built: Path, python: str, system: str
) -> None:
    (wheel,) = built.glob("*.whl")
    here = {"python_version": python, "platform_system": system, "extra": ""}
    markers = [word.marker for word in requirements(wheel) if word.name == "lz4"]
    is_required = any(marker is None or marker.evaluate(here) for marker in markers)
    assert is_required is (python != "3.15" and system != "Windows" and "musl" not in wheel.name)
    with_extra = here | {"extra": "lz4"}
    is_wanted = any(marker is None or marker.evaluate(with_extra) for marker in markers)
    assert is_wanted is (python != "3.15")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("a>=1", "a>=1; m == '1'"),
        ("a>=1; x == '2'", "a>=1; (x == '2') and m == '1'"),
        ("a; x == '2' or y == '3'", "a; (x == '2' or y == '3') and m == '1'"),
    ],
)
def test_markers_are_joined(monkeypatch: pytest.MonkeyPatch, word: str, expected: str) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    assert importlib.import_module("hatch_build").with_marker(word, "m == '1'") == expected


def requirements(wheel: Path) -> list[Requirement]:
    """What ``wheel`` requires, and its extras."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        fields = archive.read(name).decode()
    head = "Requires-Dist: "
    lines = fields.partition("\n\n")[0].splitlines()
    return [Requirement(line.removeprefix(head)) for line in lines if line.startswith(head)]


def test_the_wheel_requires_what_this_system_can_have(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        fields = archive.read(name).decode()
    needed = [line for line in fields.splitlines() if line.startswith("Requires-Dist: symbolic")]
    is_optional = ["extra ==" in line for line in needed]
    assert sorted(is_optional) == ([True] if "musl" in wheel.name else [False, True])


def test_the_sdist_holds_everything_to_build_and_test(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    expected = {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "Makefile",
        "memory_monitor.py",
        "memdeep/record/children.pth",
        "hatch_build.py",
        "mkdocs.yml",
        "docs/hooks/reference.py",
        "docs/sample/report.html",
        ".github/workflows/release.yml",
        "memdeep/schema/report-2.schema.json",
        "native/account.hpp",
        "native/alive.hpp",
        "native/merge.cpp",
        "native/merge.hpp",
        "native/module.cpp",
        "native/replay.hpp",
        "native/state.cpp",
        *TEMPLATES,
    }
    assert expected <= names
    assert "tests/whole/test_packaging.py" in names
    assert "examples/backtest/deepseek_backtest.py" in names
    assert not {name for name in names if re.search(r"__pycache__|\.so$|\.venv|memdeep-runs", name)}


def test_a_page_renders_from_the_installed_wheel(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    # The wheel is unpacked into a place of its own; its dependencies come from this environment.
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=False, system_site_packages=False)
    libraries = next(environment.glob("lib/python3.*/site-packages"))
    dependencies = [path for path in sys.path if path.endswith("site-packages")]
    (libraries / "wheel.pth").write_text("\n".join([str(site), *dependencies]))
    program = tmp_path / "program.py"
    program.write_text(
        "from memdeep import phase\nwith phase('加载'):\n    kept = [bytearray(4096)] * 9\n"
    )
    done = subprocess.run(
        [environment / "bin" / "python", "-m", "memdeep", "run", "-o", "out", "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "加载" in page
    where = subprocess.run(
        [environment / "bin" / "python", "-c", "import memdeep; print(memdeep.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert where.stdout.startswith(str(site))


@pytest.mark.parametrize("editable", [False, True])
def test_memory_monitor_is_installed(built: Path, tmp_path: Path, editable: bool) -> None:
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=False)
    libraries = next(environment.glob("lib/python3.*/site-packages"))
    wanted = ["--editable", str(ROOT)] if editable else [str(*built.glob("*.whl"))]
    command = [*INSTALL, str(libraries), *wanted]
    done = subprocess.run(command, capture_output=True, text=True, env=NO_COMPILER)
    assert done.returncode == 0, done.stderr
    # Without any third-party package at all.
    code = (
        "import memory_monitor; memory_monitor.init_global_monitor(log_file='a.log')\n"
        "memory_monitor.memory_checkpoint('installed'); print(memory_monitor.__file__)"
    )
    done = subprocess.run(
        [environment / "bin" / "python", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    home = ROOT if editable else libraries
    assert (done.stdout, done.stderr) == (f"{home / 'memory_monitor.py'}\n", "")
    assert "[installed]" in (tmp_path / "a.log").read_text("utf-8")


def files_in(directory: Path) -> set[str]:
    """The paths of all files below ``directory``."""
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def test_its_command_runs_and_uninstalling_leaves_nothing(built: Path, tmp_path: Path) -> None:
    """Not the line for child processes either, nor bytecode; with the libraries of the tests."""
    (wheel,) = built.glob("*.whl")
    place = tmp_path / "venv"
    venv.create(place, with_pip=False)
    libraries = next(place.glob("lib/python3.*/site-packages"))
    others = [path for path in sys.path if path.endswith("site-packages")]
    (libraries / "others.pth").write_text("\n".join(others))
    before = files_in(place)

    def pip(*words: str) -> None:
        command = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    pip("install", "--no-deps", "--no-index", "--ignore-installed", str(wheel))
    assert (libraries / HOOK).is_file()
    program = tmp_path / "program.py"
    program.write_text("import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'pass'])\n")
    for words in (["--version"], ["run", "--quiet", "-o", "out", str(program)]):
        done = subprocess.run(
            [place / "bin" / "memdeep", *words], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out" / "children").iterdir())) == 1
    pip("uninstall", "--yes", "memdeep")
    assert files_in(place) == before


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_names_targets_that_exist_and_versions(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text("utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    for step in steps:
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d[\d.]*|release/v\d)", step["uses"])
        for line in step.get("run", "").splitlines():
            if line.startswith("make "):
                assert set(line.split()[1:]) <= {*targets}
    jobs = workflow["jobs"]
    for job in jobs.values():
        needs = job.get("needs", [])
        assert {*([needs] if isinstance(needs, str) else needs)} <= {*jobs}


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="there is no actionlint")
def test_the_workflows_are_sound() -> None:
    done = subprocess.run(["actionlint", *WORKFLOWS], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_pythons_of_the_workflows_are_those_that_memdeep_serves() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    head = "Programming Language :: Python :: 3."
    served = [word.removeprefix(head[:-2]) for word in project["classifiers"] if head in word]
    for path in WORKFLOWS:
        jobs = yaml.safe_load(path.read_text("utf-8"))["jobs"].values()
        matrices = [job["strategy"]["matrix"] for job in jobs if "strategy" in job]
        tried = [matrix["python"] for matrix in matrices if "python" in matrix]
        assert tried == [served]


def test_what_is_built_with_any_headers_gives_none_as_a_new_reference() -> None:
    for path in (ROOT / "native").iterdir():
        if path.suffix in (".cpp", ".hpp") and path.name != "python_values.hpp":
            assert "Py_RETURN_" not in path.read_text("utf-8"), path.name
    from memdeep.heap.replay._replay import Replay

    replay = Replay()
    before = sys.getrefcount(None)
    for _ in range(1000):
        replay.forget_future()
    assert sys.getrefcount(None) > before - 500

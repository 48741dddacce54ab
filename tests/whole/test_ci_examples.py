"""The examples for CI are what GitHub and GitLab take, and their steps do what they say.

Each shell step is run as it is written; `gh`, `curl` and `pip` are stand-ins, and what an action of
somebody else's would do is done here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from running import ROOT, read_json
from shown import environment

EXAMPLES = ROOT / "examples" / "ci"
BUDGET = '[[budget]]\nmax-peak-heap = "{}"\n[[budget]]\nphase = "load"\nmax-growth = "{}"\n'
JOB = """\
from memdeep import phase
with phase("load"):
    kept = [bytearray(1_000_000) for _ in range({})]
"""
STAND_INS = {
    "pip": "exit 0",
    "gh": 'echo "$@" >>said; cat "$5" >>said',
    # Of `curl ... --output FILE URL`: the artifacts of the base branch, if there are any.
    "curl": 'test -f artifacts.zip && echo "$@" >>said && cp artifacts.zip memory-base.zip',
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with the program, its budgets and the stand-ins."""
    (tmp_path / "job.py").write_text(JOB.format(3))
    (tmp_path / "memdeep.toml").write_text(BUDGET.format("100M", "50M"))
    (tmp_path / "bin").mkdir()
    for name, body in STAND_INS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def sh(place: Path, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    known = environment()
    path = f"{place / 'bin'}{os.pathsep}{known['PATH']}"
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=place,
        env={**known, "PATH": path, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def base_run(place: Path, into: str, size: int = 3) -> None:
    """Record what the base branch would have: a run that holds ``size`` MB."""
    (place / "base.py").write_text(JOB.format(size))
    done = sh(place, f"memdeep run --quiet -o {into} base.py")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "schema"),
    [("github.yml", "vendor.github-workflows"), ("gitlab.yml", "vendor.gitlab-ci")],
)
def test_an_example_is_as_the_schema_of_its_service_says(name: str, schema: str) -> None:
    if find_spec("check_jsonschema") is None:
        pytest.skip("check-jsonschema is not installed")
    words = ["-m", "check_jsonschema", "--builtin-schema", schema, str(EXAMPLES / name)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def github_steps() -> dict[str, dict[str, Any]]:
    workflow = yaml.safe_load((EXAMPLES / "github.yml").read_text("utf-8"))
    steps = workflow["jobs"]["memory"]["steps"]
    return {step.get("name", step.get("run", step.get("uses"))): step for step in steps}


def github(place: Path) -> dict[str, subprocess.CompletedProcess[str]]:
    """Run the shell steps of a pull request's job in order, those that files allow."""
    variables = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(place),
        "GITHUB_STEP_SUMMARY": str(place / "summary.md"),
        "PULL_REQUEST": "7",
    }
    done = {}
    for name, step in github_steps().items():
        needs = [part.split("'")[0] for part in step.get("if", "").split("hashFiles('")[1:]]
        is_of_push = "event_name == 'push' }}" in step.get("if", "")
        if "run" in step and not is_of_push and all((place / need).exists() for need in needs):
            done[name] = sh(place, step["run"], **variables)
    return done


def test_the_workflow_compares_a_pull_request_and_comments(place: Path) -> None:
    base_run(place, "memory-base")
    done = github(place)
    assert {name: one.returncode for name, one in done.items()} == dict.fromkeys(done, 0)
    said = (place / "said").read_text()
    assert said.startswith("pr comment 7 --body-file memory-diff.md --edit-last --create-if-none")
    assert (place / "memory-diff.md").read_text() in said
    assert "<html" in (place / "memory-diff.html").read_text("utf-8")
    assert "|" in (place / "summary.md").read_text()
    assert read_json(place / "memory.sarif")["version"] == "2.1.0"
    xml.etree.ElementTree.parse(place / "memory.xml")


def test_the_workflow_fails_where_memory_is_over_its_budget_and_above_the_base(place: Path) -> None:
    base_run(place, "memory-base", 60)
    (place / "job.py").write_text(JOB.format(90))
    done = github(place)
    over = done["Hold it against its budgets"]
    assert over.returncode == 1
    assert "::error " in over.stdout
    assert read_json(place / "memory.sarif")["runs"][0]["results"]
    assert done["Compare with it"].returncode == 1
    assert "pr comment 7" in (place / "said").read_text()  # all the same


def test_the_first_pull_request_has_nothing_to_compare_with(place: Path) -> None:
    done = github(place)
    assert "Compare with it" not in done
    assert {one.returncode for one in done.values()} == {0}


def test_a_later_pull_request_finds_what_a_push_has_kept(place: Path) -> None:
    steps = github_steps()
    base_run(place, "memory")
    assert sh(place, steps["Keep the run for later pull requests"]["run"]).returncode == 0
    saved = next(one for one in steps.values() if one.get("uses", "").startswith("actions/cache/s"))
    restored = steps["Get the run of the base branch"]
    assert saved["with"]["path"] == restored["with"]["path"] == "memory-base"
    assert sh(place, "memdeep diff memory-base memory").returncode == 0


def gitlab(place: Path) -> subprocess.CompletedProcess[str]:
    job = yaml.safe_load((EXAMPLES / "gitlab.yml").read_text("utf-8"))["memory"]
    variables = {
        "GITLAB_CI": "true",
        "CI_JOB_TOKEN": "token",
        "CI_API_V4_URL": "https://gitlab.example.org/api/v4",
        "CI_PROJECT_ID": "1",
        "CI_PROJECT_DIR": str(place),
        "CI_DEFAULT_BRANCH": "main",
    }
    return sh(place, "\n".join(job["before_script"] + job["script"]), **variables)


def test_the_job_writes_the_reports_that_it_names(place: Path) -> None:
    job = yaml.safe_load((EXAMPLES / "gitlab.yml").read_text("utf-8"))["memory"]
    base_run(place, "memory")
    shutil.make_archive(str(place / "artifacts"), "zip", place, "memory")
    shutil.rmtree(place / "memory")
    done = gitlab(place)
    assert done.returncode == 0, done.stderr
    assert "jobs/artifacts/main/download?job=memory" in (place / "said").read_text()
    for path in [*job["artifacts"]["paths"], *job["artifacts"]["reports"].values()]:
        assert (place / path).exists(), path
    assert read_json(place / "gl-code-quality.json") == []
    assert (place / "metrics.txt").read_text().endswith("# EOF\n")


def test_the_job_fails_where_memory_is_over_its_budget(place: Path) -> None:
    (place / "memdeep.toml").write_text(BUDGET.format("100M", "1M"))
    done = gitlab(place)
    assert done.returncode == 1
    assert "nothing to compare with yet" in done.stdout
    (found,) = read_json(place / "gl-code-quality.json")
    assert found["location"]["path"] == "job.py"

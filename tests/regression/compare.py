"""Runs CPython's own tests under plain python and under `memdeep run`, and compares each result.

    python tests/regression/compare.py [--quick] [MODULE ...]

Every difference is listed. One that `differences.py` explains is no failure, any other is. A module
whose results differ is run once more both ways, since some of CPython's tests depend on the load of
the machine. With --memray, what differs is run by `memray run` as well, which shows whose doing it
is. Where MEMDEEP_REGRESSION_LOGS names a directory, what the tests printed is kept there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from differences import EXPLAINED

TIMEOUT_S = 900
MEMDEEP = ("-m", "memdeep", "run", "--quiet", "--no-report")
MEMRAY = ("-m", "memray", "run", "--quiet")

Results = Mapping[str, str]  # of each test by its full name: "passed", "failed" or "skipped"


@dataclass(frozen=True)
class Difference:
    """One test with another result under memdeep; None where it did not even report."""

    module: str
    test: str
    plain: str | None
    memdeep: str | None

    @property
    def explanation(self) -> str | None:
        """Why this is as it must be, if that is known."""
        for pattern, reason in EXPLAINED.items():
            if fnmatchcase(self.test, pattern):
                return reason
        if self.memdeep is None:  # it has not come so far
            return EXPLAINED.get(whole(self.module))
        return None


def whole(module: str) -> str:
    """The name of what stands for all of a module that did not end."""
    return f"{module}: the whole module"


def run(module: str, wrapper: Sequence[str], options: Sequence[str] = ()) -> Results:
    """The results of ``module``, run by `python WRAPPER OPTIONS -m test`."""
    with tempfile.TemporaryDirectory(prefix="memdeep-regression-") as directory:
        report = Path(directory) / "results.xml"
        before = [*wrapper, *options]
        if wrapper == MEMDEEP:
            before += ["-o", str(Path(directory) / "run")]
        elif wrapper == MEMRAY:
            before += ["-o", str(Path(directory) / "capture.bin")]
        command = [sys.executable, *before, "-m", "test", "--junit-xml", str(report), module]
        log = Path(directory) / "log"
        try:
            with open(log, "wb") as output:
                subprocess.run(
                    command,
                    cwd=directory,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    timeout=TIMEOUT_S,
                    check=False,
                )
        except subprocess.TimeoutExpired:
            return {whole(module): "timed out"}
        keep_log(module, wrapper, log)
        return read(report, module)


def keep_log(module: str, wrapper: Sequence[str], log: Path) -> None:
    """Copy what the tests printed to where MEMDEEP_REGRESSION_LOGS says, if it is set."""
    kept = os.environ.get("MEMDEEP_REGRESSION_LOGS")
    if kept:
        name = wrapper[1] if wrapper else "plain"
        Path(kept, f"{module}.{name}.log").write_bytes(log.read_bytes())


def read(report: Path, module: str) -> Results:
    """The results in a JUnit file as `python -m test` writes it."""
    try:
        root = ElementTree.parse(report).getroot()
    except (OSError, ElementTree.ParseError):
        return {whole(module): "did not end"}
    results = {}
    for case in root.iter("testcase"):
        outcome = "passed"
        if case.find("skipped") is not None or case.get("result") == "skipped":
            outcome = "skipped"
        elif case.find("failure") is not None or case.find("error") is not None:
            outcome = "failed"
        results[str(case.get("name"))] = outcome
    return results


def differences(module: str, plain: Results, memdeep: Results) -> list[Difference]:
    """The tests whose results differ."""
    names = sorted({*plain, *memdeep})
    found = [Difference(module, name, plain.get(name), memdeep.get(name)) for name in names]
    return [one for one in found if one.plain != one.memdeep]


def is_here(module: str) -> bool:
    """Whether this Python was installed with that part of its tests."""
    return find_spec(f"test.{module}") is not None


def compare(module: str) -> tuple[int, list[Difference]]:
    """How many results there were, and the differences that were there twice."""
    if not is_here(module):
        return 0, []
    plain, memdeep = run(module, ()), run(module, MEMDEEP)
    found = differences(module, plain, memdeep)
    if any(one.explanation is None for one in found):
        again = differences(module, run(module, ()), run(module, MEMDEEP))
        steady = {one.test for one in again}
        found = [one for one in found if one.test in steady]
    return len(plain), found


def modules(*, quick: bool) -> list[str]:
    """The modules to run where none are named; the short list is marked by an asterisk."""
    lines = Path(__file__).with_name("modules.txt").read_text("ascii").splitlines()
    names = [line for line in lines if not line.startswith("#")]
    chosen = [name for name in names if name.endswith("*")] if quick else names
    return [name.removesuffix("*") for name in chosen]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE")
    parser.add_argument("--quick", action="store_true", help="a short list of modules")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--memray", action="store_true", help="run what differs by `memray run`")
    options = parser.parse_args()
    chosen = options.modules or modules(quick=options.quick)
    total, unexplained = 0, 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for module, (count, found) in zip(chosen, pool.map(compare, chosen), strict=True):
            total += count
            absent = "" if is_here(module) else " (not installed with this Python)"
            print(f"{module}: {count} results, {len(found)} differ{absent}", flush=True)
            memray = run(module, MEMRAY) if found and options.memray else {}
            for one in found:
                unexplained += one.explanation is None
                also = f"; memray run: {memray.get(one.test)}" if memray else ""
                print(f"  {one.test}: plain {one.plain}, memdeep {one.memdeep}{also}")
                print(f"    {one.explanation or 'NOT EXPLAINED'}", flush=True)
    version = ".".join(map(str, sys.version_info[:3]))
    print(
        f"CPython {version}: {total} results in {len(chosen)} modules, "
        f"{unexplained} differences unexplained"
    )
    return 1 if unexplained or not total else 0


if __name__ == "__main__":
    sys.exit(main())

"""Figures read alike wherever they are written: the page's scripts against text/units.py."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from running import TESTS

from memdeep.report import frame_names
from memdeep.text import units

SCRIPTS = TESTS / "js" / "scripts.js"
NODE = shutil.which("node")
SHOW = """
const { load } = require(process.argv[1]);
const { format } = load(['format']);
const figures = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));
console.log(JSON.stringify(figures.map(([kind, value]) => format[kind](value))));
"""

SIZES = (
    *(None, 0, 1, -1, 1023, 1024, 1280, 1792, 2304, -1280, 10_000, 1_048_524, 1_048_525),
    *(123_456_789, -98_765_432_101, 2**40, 2**62, 7 * 2**20 + 2**18, 7 * 2**20 + 3 * 2**18),
    *(1_023_948, 1_023_949, 1000 * 2**20, 2**30 + 2**27, 2**30 + 3 * 2**27, 9 * 2**30 + 7 * 2**27),
    *(10_732_049_530, 10_732_049_531, 2**40 + 2**37, 999 * 2**30, 1000 * 2**30),
)
SHARES = (None, 0, 0.0004, 0.0025, 0.00250001, 0.1225, 0.5, 0.9994, 0.9995, 1, 3.16, -0.25, -1.2)
TIMES = (
    *(None, 0, 0.0004, 0.0005, 0.0015, 0.0125, 0.5, 0.9994, 0.9995, 1.25, 1.75, 59.94, 59.95),
    *(60, 90.5, 91.5, 3599.4, 3599.5, 3600, 5430, 86_399.9),
)


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_scripts_write_figures_as_python_does() -> None:
    assert NODE is not None
    figures = [
        *(("bytes", value, units.size(value)) for value in SIZES),
        *(("signedBytes", value, units.signed_size(value)) for value in SIZES),
        *(("percent", value, units.percent(value)) for value in SHARES),
        *(("seconds", value, units.duration(value)) for value in TIMES),
    ]
    shown = subprocess.run(
        [NODE, "-e", SHOW, str(SCRIPTS)],
        input=json.dumps([(kind, value) for kind, value, _ in figures]),
        capture_output=True,
        text=True,
        check=True,
    )
    written = json.loads(shown.stdout)
    assert written == [text for _, _, text in figures]


PATHS = (
    *("", "learning.py", "/app/learning.py", "/app/tool/__main__.py", "__init__.py", "<frozen x>"),
    *("/usr/lib/python3.12/copy.py", "/usr/lib/python3.12/multiprocessing/reduction.py"),
    *("/v/lib/python3.13t/site-packages/six.py", "/v/site-packages/pandas/core/frame.py"),
    *("/v/site-packages/np/_umath.cpython-312-x86_64-linux-gnu.so", "/v/x/_rust.abi3.so"),
    *(
        "/v/np.libs/libopenblas64_p-r0-15028c96.3.21.so",
        "/v/libgfortran-040039e1-0352e75f.so.5.0.0",
    ),
)
NAME = """
const { load } = require(process.argv[1]);
const { payload } = load(['payload']);
const paths = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));
console.log(JSON.stringify(paths.map(payload.baseName)));
"""


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_scripts_name_files_as_python_does() -> None:
    assert NODE is not None
    shown = subprocess.run(
        [NODE, "-e", NAME, str(SCRIPTS)],
        input=json.dumps(PATHS),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(shown.stdout) == [frame_names.file_name(path) for path in PATHS]

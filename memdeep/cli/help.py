"""The words of `--help` that are not made from the table of options.

Imports nothing: `memdeep --help` answers at once.
"""

DESCRIPTION = "Which line, in which phase, made this Python program's memory explode?"

COMMANDS = {
    "run": "run a program and report which line made its memory grow",
    "report": "make the report of a run again, or of a plain memray capture",
    "watch": "follow a run from another terminal",
    "doctor": "check the installation, and the limits on memory here",
    "config": "show which options are in force, and where they come from",
}

USAGE = "usage: memdeep [-h] [--version] COMMAND ..."

EXAMPLES = """\
examples:
  memdeep run backtest.py       run it; then read the verdict, or open the page
  memdeep watch                 follow it from another terminal
  memdeep report DIR            make the report again, without running

`memdeep COMMAND --help` says more."""

OF_COMMANDS = {
    "run": """\
examples:
  memdeep run backtest.py --symbols BTC   the program's own options go after it
  memdeep run -m package.module
  memdeep run --deep -o out backtest.py   exact lines for small objects, slower
  memdeep run --warning-mb 800 --critical-mb 950 etl.py
  memdeep run --memory-limit 1G --kill-at 950M etl.py
  memdeep run --mark-stdout '【(.+?)】' backtest.py
  memdeep run --focus 加载config job.py   trace only the phase under suspicion

exit status: the program's own, 128+n if signal n ended it. If it never
started: 127 there is no such program, 126 it cannot be run, 125 the output
cannot be written, 2 the options are wrong.""",
    "report": """\
examples:
  memdeep report memdeep-runs/backtest-20251120-103045
  memdeep report memray-backtest.1234.bin -o out
  memdeep report DIR --lang zh --no-source --redact-args     to show others

exit status: 0 written, 65 the capture is damaged or foreign, 66 it is not
there, 125 the output cannot be written.""",
    "watch": """\
examples:
  memdeep watch                                the newest run in memdeep-runs
  memdeep watch memdeep-runs/backtest-20251120-103045""",
    "doctor": "exit status: 0 nothing needs to be done, 1 something does.",
    "config": "",
}


def overview() -> str:
    """Return what `memdeep --help` prints, in lines of less than 80 characters."""
    commands = "\n".join(f"  {name:10}{summary}" for name, summary in COMMANDS.items())
    return f"""\
{USAGE}

{DESCRIPTION}

commands:
{commands}

options:
  -h, --help  show this help message and exit
  --version   show the version and exit

{EXAMPLES}"""

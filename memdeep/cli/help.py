"""The words of `--help` that are not made from the table of options.

Imports nothing to begin with: `memdeep --help` answers at once.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

DESCRIPTION = "Which line, in which phase, made this Python program's memory explode?"

COMMANDS = {
    "run": "run a program and report which line made its memory grow",
    "attach": "record a program that runs already, for a while",
    "report": "make the report of a run again, or of a plain memray capture",
    "diff": "compare two runs: what keeps more or less than before, and where",
    "check": "hold a run against its budgets of memory, or a baseline",
    "export": "write a run for pprof, Firefox, speedscope, Perfetto, a table …",
    "open": "open the page of a run in the browser",
    "runs": "list the runs in memdeep-runs, or remove some",
    "watch": "follow a run from another terminal",
    "doctor": "check the installation, and the limits on memory here",
    "config": "show which options are in force, and where they come from",
    "completion": "print what completes these words in bash, zsh or fish",
    "help": "show this, or the help of a command",
}

USAGE = "usage: memdeep [-h] [-V] COMMAND ..."

# What stands behind a command, for its usage.
OPERANDS = {
    "run": "[OPTIONS] (script.py | - | -m MODULE | -c CODE) [ARGS...]",
    "attach": "[OPTIONS] PID",
    "report": "[OPTIONS] [RUN_DIR | CAPTURE]",
    "diff": "[OPTIONS] (BEFORE AFTER | --before RUN... --after RUN...)",
    "check": "[OPTIONS] [RUN_DIR | CAPTURE]",
    "export": "[OPTIONS] [RUN_DIR | CAPTURE]",
    "open": "[RUN_DIR | PAGE]",
    "runs": "[--rm RUN_DIR]... [--keep N] [DIR]",
    "watch": "[--web [--port N] | --once] [--every SECONDS] [RUN_DIR]",
    "doctor": "",
    "config": "",
    "completion": "bash|zsh|fish",
    "help": "[COMMAND]",
}

EXAMPLES = """\
examples:
  memdeep run backtest.py       run it; then read the verdict, or open the page
  memdeep watch                 follow it from another terminal
  memdeep attach 4711           record what runs already
  memdeep report                make the newest run's report again
  memdeep diff BEFORE AFTER     compare two runs
  memdeep check                 hold the newest run against its budgets
  memdeep runs --keep 5         remove all runs but the five newest

`memdeep COMMAND --help` says more."""

OF_COMMANDS = {
    "run": """\
examples:
  memdeep run backtest.py --symbols BTC   the program's own options go after it
  memdeep run -m package.module
  memdeep run --deep -o out backtest.py   exact lines for small objects, slower
  memdeep run --warning-mb 800 --critical-mb 950 etl.py
  memdeep run --warning-mb 800 --notify 'notify-send memdeep' etl.py
  memdeep run --memory-limit 1G --kill-at 950M etl.py
  memdeep run --mark-stdout '【(.+?)】' backtest.py
  memdeep run --focus 加载config job.py   trace only the phase under suspicion

exit status: the program's own, 128+n if signal n ended it. If it never
started: 127 there is no such program, 126 it cannot be run, 125 the output
cannot be written, 2 the options are wrong.""",
    "attach": """\
examples:
  memdeep attach 4711                          until Ctrl-C, or its end
  memdeep attach 4711 --for 60s
  memdeep attach 4711 --until 2G --deep
  memdeep attach 4711 --until-phase 'request*'

The program has called memdeep.attachable(), or runs on the Python that memdeep
runs on. Before 3.14 that takes gdb or lldb, which is tried on a process of
memdeep's own first, and stops the program for some hundredths of a second (gdb)
or about one (lldb). The program goes on as before when memdeep detaches, or is
killed. What it had allocated by then is shown as “before the attach”.

exit status: 0 recorded, 66 there is no such process, 126 it cannot be attached
to, 125 the output cannot be written, 2 the options are wrong.""",
    "report": """\
examples:
  memdeep report                               of the newest run in memdeep-runs
  memdeep report memdeep-runs/backtest-20251120-103045
  memdeep report memray-backtest.1234.bin -o out
  memdeep report DIR --lang zh --no-source --redact-args     to show others

exit status: 0 written, 65 the capture is damaged or foreign, 66 it is not
there, 125 the output cannot be written.""",
    "diff": """\
examples:
  memdeep diff memdeep-runs/old memdeep-runs/new
  memdeep diff old new --format markdown -o comment.md
  memdeep diff old new --fail-on peak-heap:5% --fail-on growth:4MB
  memdeep diff --before old1 old2 old3 --after new1 new2 new3

Of several runs a side the one with the median peak stands for it, and its
phases and lines are shown. Figures are medians of all.

FIGURE is peak-heap, peak-rss, growth, rise, allocations or line (of runs with
--deep only). LIMIT is how much more than before it may be: a share (5%), a
size (4MB) or, of allocations, a number; without it, anything beyond the noise.
Of phases and lines the worst counts. What is within the noise never fails.

exit status: 0 alike or shown, 1 over a limit of --fail-on, or that figure is
not known, 2 the options are wrong, 65 a run is damaged or foreign, 66 it is
not there, 125 the output cannot be written.""",
    "check": """\
examples:
  memdeep check                                the newest run in memdeep-runs
  memdeep check out --format github --format junit=memory.xml
  memdeep check --baseline memory.toml --update       write the baseline
  memdeep check --baseline memory.toml         and later: did anything rise?

The budgets stand in memdeep.toml, or as [[tool.memdeep.budget]] in
pyproject.toml:

  [[budget]]
  max-peak-heap = "900M"
  [[budget]]
  phase = "load*"
  max-growth = "32M"
  no-growth = true

exit status: 0 all is within its limits, 1 something is not, or not known,
2 there is no budget or a wrong one, 65 the run is damaged, 66 it is not there,
125 the output cannot be written.""",
    "export": """\
examples:
  memdeep export -o kept.speedscope.json       the name tells the format
  memdeep export RUN_DIR --format pprof        into the run directory
  memdeep export -o job.collapsed --phase 加载config --metric peak
  memdeep export -f csv --table lines -o -     to stdout

exit status: 0 written, 2 there is no such phase or format, 65 the run does not
hold what is asked for, 66 there is no such run, 125 it cannot be written.""",
    "open": """\
examples:
  memdeep open                                 the newest run in memdeep-runs
  memdeep open memdeep-runs/backtest-20251120-103045
  memdeep open out/report.html

exit status: 0 opened, or its path told where there is no browser, 66 there
is no such run, or no report of it.""",
    "runs": """\
examples:
  memdeep runs                                 newest first
  memdeep runs --rm memdeep-runs/backtest-20251120-103045
  memdeep runs --keep 5                        remove all but the five newest

Only files that memdeep wrote are removed, and never those of a run that is
still being recorded. memdeep-runs/latest is a link to the newest run.

exit status: 0, 66 there is no such run, 125 it cannot be removed.""",
    "completion": """\
examples:
  eval "$(memdeep completion bash)"            in ~/.bashrc
  eval "$(memdeep completion zsh)"             in ~/.zshrc, behind compinit
  memdeep completion fish | source             in ~/.config/fish/config.fish""",
    "help": """\
examples:
  memdeep help run""",
    "watch": """\
examples:
  memdeep watch                                the newest run in memdeep-runs
  memdeep watch memdeep-runs/backtest-20251120-103045
  memdeep watch --web                          in a browser of this machine
  memdeep watch --once                         as text, and end

keys: a, p, m put lines in the order of what is alive, has grown in the open
phase or in the last minute; up and down choose a line and show its text; f
makes a full report of the run as it is now; q ends the watching, not the run.

exit status: 0, 66 there is no such run, 125 the port cannot be listened on.""",
    "doctor": "exit status: 0 nothing needs to be done, 1 something does.",
    "config": "",
}


def overview() -> str:
    """Return what `memdeep --help` prints, in lines of less than 80 characters."""
    commands = "\n".join(f"  {name:12}{summary}" for name, summary in COMMANDS.items())
    return f"""\
{USAGE}

{DESCRIPTION}

commands:
{commands}

options:
  -h, --help     show this help message and exit
  -V, --version  show the version and exit

{EXAMPLES}"""


def near(word: str, names: "Iterable[str]") -> "str | None":
    """Return the one of ``names`` that ``word`` looks like."""
    import difflib

    return next(iter(difflib.get_close_matches(word, list(names), n=1)), None)

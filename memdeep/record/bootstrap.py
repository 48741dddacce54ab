"""The first lines to run in the recorded process: start recording, then become the program.

Started by path, as `python .../bootstrap.py WORDS`, so that no module of the user's directory is
found in place of one of ours.
"""

import sys


def main(modules_before: "frozenset[str]") -> None:
    """Record the program described on the command line, until all of it has ended."""
    try:
        import atexit

        from memdeep.record import program
        from memdeep.record.session import Session
        from memdeep.record.spec import RecordSpec

        spec = RecordSpec.from_arguments(sys.argv[1:])
        session = Session(spec)
        # Registered first, so it runs last: after the program's threads and `atexit` functions.
        atexit.register(session.finish)
        session.start()
    except KeyboardInterrupt:
        end_by_interrupt()
        raise
    program.run(spec, modules_before)


def end_by_interrupt() -> None:
    """End as an interpreter does that is interrupted before it has come to any program."""
    import os
    import signal

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    _modules = frozenset(sys.modules)
    _own_directory = sys.path.pop(0) if not getattr(sys.flags, "safe_path", False) else ""
    try:
        import memdeep  # noqa: F401
    except ModuleNotFoundError:  # started from a source tree that is not installed
        sys.path.append(__file__.rsplit("memdeep", 1)[0])
    except KeyboardInterrupt:
        end_by_interrupt()
    main(_modules)

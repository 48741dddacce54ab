"""The first lines to run in the recorded process: start recording, then become the program.

Started by path, as `python .../bootstrap.py WORDS`, so that no module of the user's directory is
found in place of one of ours.
"""

import sys


def main() -> None:
    """Record the program described on the command line, until all of it has ended."""
    import atexit
    import os

    from memdeep.record import api, program, tracker
    from memdeep.record.recorder import Recorder, say
    from memdeep.record.rss import RssReader
    from memdeep.record.spec import RecordSpec

    spec = RecordSpec.from_arguments(sys.argv[1:])
    recorder = Recorder(os.path.join(spec.run_dir, "journal.jsonl"), RssReader())
    os.register_at_fork(after_in_child=lambda: api.start(None))
    try:
        running = tracker.start(spec, os.path.join(os.path.abspath(spec.run_dir), "capture.bin"))
    except (OSError, RuntimeError) as error:
        sentence = f"allocations are not traced: {error}"
        say(sentence)
        recorder.problem(sentence)
        api.start(recorder)
    else:
        api.start(recorder)

        pid = os.getpid()

        def finish() -> None:
            if os.getpid() == pid:  # and not in a forked child that ends like its parent
                recorder.exit()
                api.start(None)
                tracker.stop(running)

        # Registered first, so it runs last: after the program's threads and `atexit` functions.
        atexit.register(finish)
    program.run(spec)


if __name__ == "__main__":
    _own_directory = sys.path.pop(0) if not getattr(sys.flags, "safe_path", False) else ""
    try:
        import memdeep  # noqa: F401
    except ModuleNotFoundError:  # started from a source tree that is not installed
        sys.path.append(__file__.rsplit("memdeep", 1)[0])
    main()

"""A recording apart from the session's own, of one stretch of the program: a test, for example.

There can be but one tracer. So the session pauses meanwhile, and what is allocated in the stretch
is not in its own recording.
"""

import os

from memdeep.record import api
from memdeep.record.recorder import Recorder
from memdeep.record.rss import RssReader
from memdeep.record.tracing import Tracing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memdeep.record.how import HowToRecord
    from memdeep.record.session import Session


class Aside:
    """Recording into ``how.run_dir`` while the context is open; ``session`` goes on after it.

    The directory has an empty journal.
    """

    __slots__ = ("_recorder", "_session", "_tracing")

    def __init__(self, session: "Session", how: "HowToRecord") -> None:
        """Raises OSError if the journal cannot be opened."""
        from memdeep.record.tracker import MemrayTracer

        path = os.path.join(how.run_dir, "journal.jsonl")
        self._session = session
        self._recorder = Recorder(path, RssReader(), first_span=session.next_span())
        self._tracing = Tracing(self._recorder, MemrayTracer(how, how.run_dir))
        self._recorder.after_each(self._tracing.mark)

    def __enter__(self) -> "Aside":
        self._session.pause(self._tracing)
        self._tracing.switch(True, from_start=True)
        api.start(self._recorder)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._recorder.exit()
        api.start(None)
        self._tracing.finish()
        self._session.go_on()
        self._recorder.close()

"""Switch of the tracer; notes in the journal when tracing starts and stops.

Does not know who switches: phases (`focus`), the whole run (`session`), or the parent, which ends
tracing for good when the disk is filling up (`orders`).
"""

from _thread import RLock

from memdeep.record.recorder import STOPPED_LABEL, Recorder, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from memdeep.record.snapshots import SnapshotTracer
    from memdeep.record.tracker import MemrayTracer


class Tracing:
    """Switch of one tracer. Without a tracer (None) the methods do nothing."""

    __slots__ = ("_is_on", "_is_over", "_lock", "_recorder", "_tracer")

    def __init__(self, recorder: Recorder, tracer: "MemrayTracer | SnapshotTracer | None") -> None:
        self._recorder = recorder
        self._tracer = tracer
        self._lock = RLock()
        self._is_on = False
        self._is_over = tracer is None

    @property
    def goes_on(self) -> bool:
        """Tell if a child that is forked now would be traced too."""
        return self._is_on and self._tracer is not None and self._tracer.goes_on

    def switch(self, on: bool, *, from_start: bool = False) -> None:
        """Trace from now on, or no longer. A failure is reported and does not reach the program."""
        with self._lock:
            if self._is_over or self._tracer is None or on == self._is_on:
                return
            self._is_on = on
            if on:
                self._recorder.trace(from_start=from_start)
                try:
                    self._tracer.start()
                except Exception as error:
                    self.fail(f"allocations are not traced: {error}")
            else:
                # First the journal, so that the marker is the last one in the trace: one that is
                # not there tells that the trace had ended before, by itself.
                self._recorder.untrace()
                self._tracer.stop()

    def hold(self) -> None:
        """Let no thread switch the tracer until `release`, as while this one forks."""
        self._lock.acquire()

    def release(self) -> None:
        """End what `hold` began, in the same thread, or in the child that it has forked."""
        self._lock.release()

    def prepare_fork(self) -> None:
        """Stop tracing for good where a forked child could not be traced."""
        if self._is_on and self._tracer is not None:
            obstacle = self._tracer.obstacle_to_fork()
            if obstacle is not None:
                self.end(f"tracing has stopped before a fork: {obstacle}")

    def go_on(self, recorder: Recorder, directory: str) -> bool:
        """Trace this forked child, and keep it in ``directory``; False where it is not traced."""
        if not self._is_on or self._tracer is None:
            return False
        self._tracer.go_on(directory)
        self._recorder = recorder
        recorder.after_each(self.mark)
        recorder.trace(from_start=True)
        return True

    def let_go(self) -> None:
        """Leave nothing of the tracer in this forked child."""
        self._is_on = False
        self._is_over = True
        if self._tracer is not None:
            self._tracer.let_go()

    def mark(self, sequence: int) -> None:
        """Let the tracer mark the event ``sequence``, if tracing is on."""
        if self._is_on and self._tracer is not None:
            complaint = self._tracer.mark(sequence)
            if complaint is not None:
                say(complaint)
                self._recorder.problem(complaint)

    def fail(self, sentence: str) -> None:
        """Give up tracing; ``sentence`` says why on stderr and in the report."""
        with self._lock:
            if self._is_on:
                self._recorder.untrace()
            self._is_on = False
            self._is_over = True
            say(sentence)
            self._recorder.problem(sentence)

    def end(self, sentence: str, *, aloud: bool = True) -> None:
        """Stop tracing for good, from any thread; ``sentence`` says why, on stderr if ``aloud``."""
        with self._lock:
            if self._is_over or self._tracer is None:
                return
            self._is_over = True
            if aloud:
                say(sentence)
            if self._is_on:
                # A checkpoint, so that what was traced up to here is a stretch of the run.
                self._recorder.checkpoint(STOPPED_LABEL, sentence)
                self._is_on = False
                self._recorder.untrace()
                self._tracer.stop()
            self._recorder.problem(sentence)

    def finish(self) -> None:
        """End the trace with the program."""
        with self._lock:
            if self._is_on and self._tracer is not None:
                self._is_on = False
                self._tracer.stop()

"""One recording: a recorder, and a tracer that runs all the time or in some phases only."""

import os
import sys

from memdeep.record import api
from memdeep.record.descriptors import hold, let_go
from memdeep.record.focus import Focus
from memdeep.record.forks import Forks
from memdeep.record.how import MEMRAY, TRACEMALLOC, HowToRecord
from memdeep.record.orders import CHECKPOINT, ENDED, Orders
from memdeep.record.recorder import Recorder, say
from memdeep.record.rss import RssReader
from memdeep.record.starters import Watch
from memdeep.record.tracing import Tracing
from memdeep.record.tree import Tree, plant
from memdeep.rundir import journal

MAX_FRAMES = 50  # of the traceback of a request for memory that failed
_next_span = 1  # a phase that outlives one recording is none of the next

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from memdeep.record.holders import HolderReader
    from memdeep.record.mappings import MappingReader
    from memdeep.record.marks.words import Marks
    from memdeep.record.snapshots import SnapshotTracer
    from memdeep.record.tracker import MemrayTracer


class Session:
    """The recording of this process, from `start` to `finish`."""

    __slots__ = (
        "_aside",
        "_failure",
        "_focus",
        "_forks",
        "_how",
        "_is_child",
        "_marks",
        "_orders",
        "_pid",
        "_recorder",
        "_tracer",
        "_tracing",
        "_tree",
        "_trouble",
        "_watch",
    )

    def __init__(self, how: HowToRecord, tree: "Tree | None" = None) -> None:
        """Raises OSError if the journal cannot be opened.

        ``tree`` is that of the run if this process was started by its program.
        """
        hold()
        self._watch: Watch | None = None
        self._pid = os.getpid()
        self._how = how
        self._is_child = tree is not None
        self._tree = plant(how) if tree is None else tree
        if self._tree.follows:
            # Before anything imports `subprocess`, which keeps some of the functions.
            self._watch = Watch(self._tree, self._leave, self._tell)
            self._watch.begin()
        self._aside: Tracing | None = None
        self._focus: Focus | None = None
        self._marks: Marks | None = None
        self._tracer: MemrayTracer | SnapshotTracer | None = None
        self._failure: object = None
        self._orders = Orders(how.orders) if how.orders >= 0 else self._named_orders()
        if how.dumps_stacks:
            _enable_stack_dumps(os.path.join(how.run_dir, "stacks.txt"))
        try:
            self._tracer = _tracer(how, os.path.abspath(how.run_dir))
        except Exception as error:  # whatever fails in a tracer, the program shall run
            self._failure = error
        # After the tracer's imports: they are not the program's, whose RSS counts from here.
        journal = os.path.join(how.run_dir, "journal.jsonl")
        holders, self._trouble = _holders(how)
        self._recorder = Recorder(
            journal, RssReader(), _mappings(how), holders, first_span=_next_span
        )
        self._tracing = Tracing(self._recorder, self._tracer)
        self._forks = Forks(self._tree, self._tracing, self._go_on, self._let_go)

    def start(self) -> None:
        """Record the checkpoints from now on, and trace what is to be traced."""
        if self._tracer is not None:
            self._recorder.after_each(self._tracing.mark)
            self._tracer.give_way(self._give_way)
        self._obey_earlier_order()
        if self._trouble and not self._is_child:
            self._tell(self._trouble)
            say(self._trouble)
        if self._failure is not None:
            self._tracing.fail(f"allocations are not traced: {self._failure}")
        if self._how.traced_only:
            self._focus = Focus(self._how, self._recorder, self._tracing)
            api.start(self._focus)
        else:
            self._tracing.switch(True, from_start=True)
            api.start(self._recorder)
        self._obey_later_orders()
        self._forks.follow()
        if self._how.marks:
            from memdeep.record.marks import words

            self._marks = words.install(self._how.marks)

    def next_span(self) -> int:
        """Return a number above those of all spans that were begun."""
        return self._recorder.next_span()

    def pause(self, aside: Tracing) -> None:
        """Trace nothing and record no checkpoint until `go_on`: ``aside`` is to trace instead."""
        api.start(None)
        self._tracing.switch(False)
        self._aside = aside

    def go_on(self) -> None:
        """Record again, after `pause`."""
        self._aside = None
        self._tracing.switch(True)
        api.start(self._recorder)

    def finish(self) -> None:
        """The program has ended. Does nothing in a forked child that is not recorded."""
        # What the interpreter has just shown a traceback of, if it did.
        self._end(getattr(sys, "last_value", None), getattr(sys, "last_traceback", None))

    def stop(self, error: "BaseException | None", *, waits: bool = True) -> bool:
        """End the recording of a process that goes on; ``error`` has left what was recorded.

        Nothing of the recording is left in the process, nor in a forked child that is not recorded.
        With ``waits`` whoever gives orders may do its last work; True if it is there still.
        """
        global _next_span
        self._end(error, None if error is None else error.__traceback__)
        _next_span = self._recorder.next_span()
        self._forks.leave()
        if self._watch is not None:
            self._watch.end()
        if self._tracer is not None:
            self._tracer.leave()
        is_there = self._orders is not None and self._orders.close(waits=waits)
        self._recorder.close()
        self._tree.close_files()
        let_go()
        return is_there

    def _end(self, error: "BaseException | None", traceback: "TracebackType | None") -> None:
        if os.getpid() != self._pid or not self._tree.is_open:
            return
        unmet = [] if self._marks is None else self._marks.unmet()
        unmet += [] if self._focus is None else self._focus.unmet()
        unmet += self._recorder.unmet()
        if unmet and not self._is_child:  # of the run's options, many do not concern a child
            for sentence in unmet:
                self._recorder.problem(sentence)
            say("; ".join(unmet))
        uncaught = None if error is None else type(error)
        self._recorder.exit(uncaught, _failed_request(error, traceback))
        api.start(None)
        self._tracing.finish()
        if self._is_child and uncaught is not None and not _interrupts(uncaught):
            self._tree.ended(self._pid, 1)
        self._tree.close()

    def _go_on(self, directory: str) -> bool:
        """Record this forked child in ``directory``; return False where it is not traced."""
        how = self._how.but(run_dir=directory, orders=-1, dumps_stacks=False)
        recorder = Recorder(
            os.path.join(directory, "journal.jsonl"),
            RssReader(),
            _mappings(how),
            _holders(how)[0],
            first_span=self._recorder.next_span(),
        )
        if not self._tracing.go_on(recorder, directory):
            return False
        self._how, self._recorder, self._pid = how, recorder, os.getpid()
        self._is_child = True
        self._focus, self._orders = None, self._named_orders()
        api.start(recorder)
        self._obey_earlier_order()
        self._obey_later_orders()
        return True

    def _let_go(self) -> None:
        """Record nothing in this forked child, and let it run at plain speed."""
        api.start(None)
        self._tracing.let_go()

    def _give_way(self, sentence: str) -> None:
        """Stop tracing for a tracker of the program's."""
        (self._aside or self._tracing).end(sentence)

    def _leave(self, status: int) -> None:
        """The process is about to end by `os._exit`."""
        pid = os.getpid()
        if self._is_child and pid == self._pid:
            self._recorder.exit()
        if self._is_child or pid != self._pid:
            self._tree.ended(pid, status)

    def _tell(self, sentence: str) -> None:
        """Keep a sentence for the report."""
        self._recorder.problem(sentence)

    def _obey_earlier_order(self) -> None:
        """Trace nothing if the parent has said so before anything began."""
        order = None if self._orders is None else self._orders.pending()
        if order is not None:
            self._obey(order)

    def _obey_later_orders(self) -> None:
        """Stop tracing when the parent says so.

        By a thread that begins after the trace has: memray sets its profile function in all threads
        there are, and from Python 3.12 on one of them is enough to have calls reported in all.
        """
        if self._orders is not None and self._tracer is not None:
            self._orders.listen(self._obey)

    def _obey(self, order: str) -> None:
        """Make a checkpoint, or trace nothing more, here nor in processes that begin from now on.

        What the program started does not say so on its stderr once more.
        """
        if order.startswith(CHECKPOINT):
            self._recorder.checkpoint(order.removeprefix(CHECKPOINT), None)
            return
        self._tree.refuse()
        if order == ENDED:
            self._end(None, None)
            return
        if self._aside is not None:
            self._aside.end(order, aloud=False)
        self._tracing.end(order, aloud=not self._is_child)

    def _named_orders(self) -> "Orders | None":
        """Open the orders to the processes that the program started, where this is one."""
        if not self._is_child:
            return None
        try:
            return Orders.named(self._tree.orders)
        except OSError:  # the run has ended
            return None


def _interrupts(uncaught: "type[BaseException]") -> bool:
    """Tell if the interpreter ends itself by a signal for this."""
    return issubclass(uncaught, KeyboardInterrupt)


def _failed_request(error: "BaseException | None", traceback: "TracebackType | None") -> str:
    """Tell of the request for memory that ended the program; nothing if none did."""
    try:
        if not isinstance(error, MemoryError):
            return ""
        frames = []
        step = traceback
        while step is not None:
            frames.append((step.tb_frame.f_code.co_filename, step.tb_lineno))
            step = step.tb_next
        # numpy's own knows; of Python's, nobody does.
        size = getattr(error, "_total_size", None)
        return journal.encode_request(
            size if type(size) is int and size > 0 else None, frames[: -MAX_FRAMES - 1 : -1]
        )
    except Exception:  # the program's class may do anything
        return ""


def _enable_stack_dumps(path: str) -> None:
    try:
        from memdeep.record import stack_dumps

        stack_dumps.enable(path)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        say(f"stacks cannot be written down: {error}")


def _mappings(how: HowToRecord) -> "MappingReader | None":
    """Return the reader of mappings where there are both these and allocations to join."""
    if how.backend != MEMRAY or not sys.platform.startswith("linux"):
        return None
    try:
        from memdeep.record.mappings import MappingReader

        return MappingReader(how.run_dir)
    except (ImportError, OSError, ValueError):  # it is an extra
        return None


def _holders(how: HowToRecord) -> "tuple[HolderReader | None, str]":
    """Return what records who holds the objects, if that is wanted, or why it cannot be done."""
    if not how.wants_holders:
        return None, ""
    try:
        from memdeep.record.holders import HolderReader

        return HolderReader(how), ""
    except (ImportError, OSError) as error:  # memdeep runs itself by another Python than this one
        return None, f"who holds the objects is not recorded: {error}"


def _tracer(how: HowToRecord, directory: str) -> "MemrayTracer | SnapshotTracer | None":
    if how.backend == MEMRAY:
        from memdeep.record.tracker import MemrayTracer

        return MemrayTracer(how, directory)
    if how.backend == TRACEMALLOC:
        from memdeep.record.snapshots import SnapshotTracer

        return SnapshotTracer(directory)
    return None

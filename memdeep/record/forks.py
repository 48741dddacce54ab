"""What happens at a fork: the child is recorded on its own from then on, or not at all.

Called by Python before and after each fork, in the thread that forks. Whatever fails in here, the
child runs, unrecorded.
"""

import os
import sys
from _thread import get_ident

from memdeep.rundir import births

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from memdeep.record.tracing import Tracing
    from memdeep.record.tree import Tree


_followed: "Forks | None" = None
_is_registered = False


class Forks:
    """Hooks of this process and of those that are forked from it.

    ``go_on`` records the child in a directory and says if it does; ``let_go`` leaves nothing of
    the recording in the child.
    """

    __slots__ = ("_go_on", "_let_go", "_origins", "_tracing", "_tree")

    def __init__(
        self,
        tree: "Tree",
        tracing: "Tracing",
        go_on: "Callable[[str], bool]",
        let_go: "Callable[[], None]",
    ) -> None:
        self._tree = tree
        self._tracing = tracing
        self._go_on = go_on
        self._let_go = let_go
        # Of each thread that is forking: the place, and when it forks.
        self._origins: dict[int, tuple[int, int]] = {}

    def follow(self) -> None:
        """Be called at each fork from now on, in place of those who were before."""
        global _followed, _is_registered
        _followed = self
        if not _is_registered and hasattr(os, "register_at_fork"):  # not on Windows
            _is_registered = True  # Python keeps such functions for good
            os.register_at_fork(
                before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
            )

    def leave(self) -> None:
        """Be called at no fork any more."""
        global _followed
        if _followed is self:
            _followed = None

    def before(self) -> None:
        """Note who forks, and let nobody switch the tracer meanwhile."""
        thread = get_ident()
        if not self._tree.is_open:
            return
        self._tracing.hold()
        self._origins[thread] = 0, 0
        try:
            self._tracing.prepare_fork()
            is_becoming = thread in self._tree.about_to_exec
            origin = 0 if is_becoming else self._tree.origin(sys._getframe(1))
            self._origins[thread] = origin, self._tree.now_ns()
        except Exception:  # of the system's, or of what the program has put in its place
            pass

    def in_parent(self) -> None:
        """Go on after the fork."""
        if self._origins.pop(get_ident(), None) is not None:
            self._tracing.release()

    def in_child(self) -> None:
        """Record this forked child, or leave nothing of the recording in it."""
        thread = get_ident()
        found = self._origins.pop(thread, None)
        self._origins.clear()
        if found is None:  # nothing is recorded in the parent any more
            self._let_go()
            return
        self._tracing.release()
        tree = self._tree
        try:
            becomes_other = thread in tree.about_to_exec
            tree.about_to_exec.clear()
            tree.renew()
            directory = None
            if self._tracing.goes_on and tree.follows and not becomes_other:
                directory = tree.new_directory()
            if not becomes_other:
                origin, forked_ns = found
                tree.born(births.FORK, directory, origin, begun_ns=forked_ns)
            if directory is not None and self._go_on(directory):
                return
        except Exception:
            pass
        self._let_go()


def _before() -> None:
    if _followed is not None:
        _followed.before()


def _after_in_parent() -> None:
    if _followed is not None:
        _followed.in_parent()


def _after_in_child() -> None:
    if _followed is not None:
        _followed.in_child()

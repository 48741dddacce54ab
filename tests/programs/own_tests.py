"""A test file for `-m pytest`: one test passes, one fails, one shows what it is given."""

import os
import sys


def test_passes(tmp_path, capfd):
    os.write(1, b"to the descriptor")
    print("to the stream")
    assert capfd.readouterr().out == "to the descriptorto the stream\n"


def test_fails():
    assert [1, 2] == [1, 3]


def test_forks_without_a_warning(recwarn):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert [str(one.message) for one in recwarn] == []
    assert sys.gettrace() is None

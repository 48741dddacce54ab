"""The head of a capture tells what it is; everything unknown is refused with a sentence."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdeep.errors import EXIT_BAD_DATA, EXIT_NO_INPUT, CaptureError
from memdeep.heap import front, packed
from memdeep.heap.header import CaptureHeader, read_header


def head(version: int = 12, file_format: int = 0, start_ms: int = 1_763_634_645_123) -> bytes:
    """The first bytes of a raw capture, as `HeaderRecord` of memray's records.h lays them out."""
    fixed = struct.pack("<iiBBQQQQ", version, 0x030B07F0, 1, file_format, 5, 6, start_ms, 0)
    return b"memray\x00" + fixed + b"prog.py\x00"


def capture(directory: Path, content: bytes) -> Path:
    path = directory / "capture.bin"
    path.write_bytes(content)
    return path


def refusal(path: Path) -> CaptureError:
    with pytest.raises(CaptureError) as caught:
        read_header(path)
    assert str(path) in caught.value.message
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("version", [12, 13])
def test_known_versions_give_version_and_start(tmp_path: Path, version: int) -> None:
    path = capture(tmp_path, head(version, start_ms=99))
    assert read_header(path) == CaptureHeader(False, version, 99, 0x030B07F0)


def test_a_compressed_capture_has_the_same_head_if_it_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = capture(tmp_path, head(12, start_ms=99))
    front.pack(path, {})
    assert read_header(path) == CaptureHeader(True, 12, 99, 0x030B07F0)
    path.write_bytes(packed.MAGIC + b"anything")
    assert "is empty" in refusal(path).message
    monkeypatch.setattr(packed, "is_installed", lambda: False)
    assert read_header(path) == CaptureHeader(True, None, None, None)


@pytest.mark.parametrize("version", [-1, 0, 11, 14, 2**31 - 1])
def test_other_versions_are_refused_by_number(tmp_path: Path, version: int) -> None:
    message = refusal(capture(tmp_path, head(version))).message
    assert f"capture version {version};" in message
    assert "12 and 13" in message


def test_an_aggregated_capture_is_refused(tmp_path: Path) -> None:
    error = refusal(capture(tmp_path, head(file_format=1)))
    assert "aggregated" in error.message
    assert "--aggregate" in error.hint


@pytest.mark.parametrize("content", [b"", b"\x00", b"\x00" * 100_000])
def test_nothing_but_zeros_is_called_empty(tmp_path: Path, content: bytes) -> None:
    # memray makes room for a capture in advance: a killed program leaves zeros.
    assert "is empty" in refusal(capture(tmp_path, content)).message


@pytest.mark.parametrize("content", [b"memra", b"hello\n", b"\x00memray\x00", b"\x04\x22\x4d"])
def test_another_file_is_no_capture(tmp_path: Path, content: bytes) -> None:
    error = refusal(capture(tmp_path, content))
    assert "is not a memray capture" in error.message
    assert error.exit_status == EXIT_BAD_DATA


@pytest.mark.parametrize("length", range(7, 7 + 42))
def test_a_cut_off_header_is_refused(tmp_path: Path, length: int) -> None:
    assert "cut off" in refusal(capture(tmp_path, head()[:length])).message


def test_the_fixed_part_alone_is_enough(tmp_path: Path) -> None:
    assert read_header(capture(tmp_path, head()[: 7 + 42])).version == 12


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    error = refusal(tmp_path / "missing.bin")
    assert error.message.startswith("There is no file")
    assert error.exit_status == EXIT_NO_INPUT


def test_a_directory_cannot_be_read(tmp_path: Path) -> None:
    error = refusal(tmp_path)
    assert error.message.endswith("is not a regular file.")
    assert error.exit_status == EXIT_NO_INPUT


@given(content=st.binary(max_size=80), after_magic=st.booleans())
def test_no_bytes_crash_the_reader(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, after_magic: bool
) -> None:
    directory = tmp_path_factory.getbasetemp()
    path = capture(directory, b"memray\x00" + content if after_magic else content)
    try:
        found = read_header(path)
    except CaptureError as error:
        assert str(path) in error.message
    else:
        assert found.compressed or found.version in (12, 13)

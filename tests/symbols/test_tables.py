"""An address gets the names of the functions it lies in, or none, but never another's."""

from __future__ import annotations

import lzma
import shutil
from pathlib import Path

import libraries
import pytest
from hypothesis import given
from hypothesis import strategies as st
from libraries import EXPORTED_LINE, GROW_LINE, RESERVE, RESERVE_LINE, needs_compiler
from properties import examples

from memdeep.model import RawFrame
from memdeep.symbols.demangle import demangle
from memdeep.symbols.tables import NoSymbols, SymbolTable, build_id, build_table

pytestmark = needs_compiler

MANGLED = "_ZN6shapes7reserveEiPKc"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return libraries.build(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with compressed debug information."""
    return libraries.build(tmp_path_factory.mktemp("packed"), "-gz=zlib")


@pytest.fixture
def library(built: Path, tmp_path: Path) -> Path:
    """A library that the test may change."""
    return Path(shutil.copy(built, tmp_path))


def frames(library: Path, address: int) -> tuple[RawFrame, ...]:
    return SymbolTable(build_table(library)).frames(address, "the library")


def test_inlined_functions_come_first_each_with_its_own_line(built: Path) -> None:
    found = frames(built, libraries.address_after_call(built, MANGLED))
    source = str(built.parent / "shapes.cpp")
    assert found == (
        ("shapes::grow(int)", source, GROW_LINE),
        (RESERVE, source, RESERVE_LINE),
    )


def test_a_function_of_c_keeps_its_name(built: Path) -> None:
    found = frames(built, libraries.address_after_call(built, "exported"))
    assert found == (("exported", str(built.parent / "shapes.cpp"), EXPORTED_LINE),)


def test_without_debug_information_the_symbol_table_names_the_function(library: Path) -> None:
    address = libraries.address_after_call(library, MANGLED)
    libraries.run("strip", "--strip-debug", library)
    assert frames(library, address) == ((RESERVE, "the library", 0),)
    assert not SymbolTable(build_table(library)).has_debug


def test_what_a_stripped_library_exports_is_named_and_nothing_else(tmp_path: Path) -> None:
    noinline = "__attribute__((noinline"
    hidden = libraries.SOURCE.replace(noinline, f'{noinline}, visibility("hidden")')
    library = libraries.build(tmp_path, source=hidden)
    inner = libraries.address_after_call(library, MANGLED)
    exported = libraries.address_after_call(library, "exported")
    libraries.run("strip", "--strip-all", library)
    assert frames(library, inner) == ()
    assert frames(library, exported) == (("exported", "the library", 0),)


def test_a_function_without_an_end_does_not_name_what_follows_it(tmp_path: Path) -> None:
    bare = """\
__asm__(".globl bare\\n.type bare, @function\\nbare:\\n nop\\n nop\\n");
static __attribute__((noinline, used)) int follows(int by) { return by * 3; }
"""
    library = libraries.build(tmp_path, source=bare)
    address = libraries.address_of(library, "_ZL7followsi")
    libraries.run("strip", "--strip-all", library)
    assert libraries.run("nm", "--dynamic", library).count(" T bare") == 1
    assert frames(library, address) == ()


def test_a_function_is_not_called_by_a_symbol_that_shares_its_lowest_address(
    library: Path,
) -> None:
    """What happens to functions whose cold part, moved away, holds nothing but a jump."""
    address = libraries.address_after_call(library, "exported")
    start = libraries.address_of(library, "exported")
    text = libraries.run("objdump", "-h", "-j", ".text", library).split(".text")[1].split()
    offset = start - int(text[1], 16)
    libraries.run("objcopy", "--strip-symbol=exported", library)
    symbol = f"--add-symbol=another.cold=.text:{offset:#x},function,local"
    libraries.run("objcopy", symbol, library)
    assert [frame[0] for frame in frames(library, address)] == ["exported"]


def test_symbols_packed_into_a_stripped_library_are_used(library: Path, tmp_path: Path) -> None:
    address = libraries.address_after_call(library, MANGLED)
    small = tmp_path / "small"
    libraries.run("objcopy", "--strip-debug", library, small)
    libraries.run("strip", "--strip-all", library)
    packed = tmp_path / "packed.xz"
    packed.write_bytes(lzma.compress(small.read_bytes()))
    libraries.run("objcopy", f"--add-section=.gnu_debugdata={packed}", library)
    assert frames(library, address) == ((RESERVE, "the library", 0),)


def test_a_program_that_is_not_loaded_at_zero_is_read_by_its_own_addresses(
    tmp_path: Path,
) -> None:
    source = tmp_path / "main.cpp"
    source.write_text(libraries.SOURCE + "int main(int n, char **) { return !exported(n); }\n")
    program = tmp_path / "program"
    libraries.run("g++", "-g", "-O1", "-no-pie", "-o", program, source)
    address = libraries.address_after_call(program, "exported")
    assert address >= 0x10000
    assert frames(program, address) == (("exported", str(source), EXPORTED_LINE),)


@pytest.mark.skipif(shutil.which("rustc") is None, reason="needs rustc")
def test_functions_of_rust_are_named_as_in_their_source(tmp_path: Path) -> None:
    source = tmp_path / "source.rs"
    source.write_text(
        "pub mod shapes {\n"
        "    #[inline(never)]\n"
        "    pub fn many_of<T: Clone>(x: T, n: usize) -> Vec<T> { vec![x; n] }\n"
        "}\n"
        '#[no_mangle] pub extern "C" fn entry(n: usize) -> u64 { shapes::many_of(7u64, n)[0] }\n'
    )
    library = tmp_path / "library.so"
    libraries.run(
        "rustc", "--crate-type", "cdylib", "-g", "-C", "opt-level=1", "-o", library, source
    )
    symbols = libraries.run("nm", library).splitlines()
    [address] = [int(line.split()[0], 16) for line in symbols if "7many_of" in line]
    function, filename, line = frames(library, address)[-1]
    assert function.startswith("source::shapes::many_of")
    assert (Path(filename).name, line) == ("source.rs", 3)


def test_addresses_outside_of_the_file_have_no_name(built: Path) -> None:
    table = SymbolTable(build_table(built))
    for address in (0, 1 << 31, 1 << 32, 1 << 63, (1 << 64) - 1):
        assert table.frames(address, "the library") == ()


def test_the_build_id_is_the_linkers(built: Path) -> None:
    notes = libraries.run("readelf", "-n", built)
    assert build_id(built) == notes.partition("Build ID: ")[2].split()[0]


def test_hostile_names_come_out_as_text(library: Path) -> None:
    hostile = "<script>alert(1)</script>\x1b[31m\n\t\"'&\u202e"
    address = libraries.address_after_call(library, MANGLED)
    libraries.run("strip", "--strip-debug", library)
    libraries.run("objcopy", f"--redefine-sym={MANGLED}={hostile}", library)
    [(function, _, _)] = frames(library, address)
    assert function == hostile


def test_a_name_that_is_no_text_is_left_out(library: Path) -> None:
    address = libraries.address_of(library, "exported")
    libraries.run("strip", "--strip-debug", library)
    content = library.read_bytes()
    assert frames(library, address) == (("exported", "the library", 0),)
    library.write_bytes(content.replace(b"exported\0", b"expo\xff\xfeed\0"))
    assert frames(library, address) == ()


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"text", bytes(5000)])
def test_what_is_no_library_has_no_symbols(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(NoSymbols):
        build_table(path)


def test_compressed_debug_information_is_read(packed: Path) -> None:
    found = frames(packed, libraries.address_after_call(packed, MANGLED))
    assert [line for _, _, line in found] == [GROW_LINE, RESERVE_LINE]


@pytest.mark.parametrize("claimed_bytes", [1 << 24, 1 << 40, (1 << 64) - 1])
def test_what_claims_to_unpack_to_more_than_it_can_is_not_unpacked(
    packed: Path, tmp_path: Path, claimed_bytes: int
) -> None:
    """Asking for that much memory would end the process."""
    header = libraries.run("objdump", "-h", "-j", ".debug_info", packed)
    offset = int(header.split(".debug_info")[1].split()[3], 16)
    content = bytearray(packed.read_bytes())
    content[offset + 8 : offset + 16] = claimed_bytes.to_bytes(8, "little")
    path = tmp_path / "claims"
    path.write_bytes(content)
    with pytest.raises(NoSymbols, match="cannot be that large"):
        build_table(path)


damage = st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)))


@examples(60, share_fixtures=True)
@given(is_packed=st.booleans(), end=st.just(1.0) | st.floats(0, 1), flips=damage)
def test_a_damaged_library_is_no_accident(
    built: Path,
    packed: Path,
    tmp_path: Path,
    is_packed: bool,
    end: float,
    flips: list[tuple[float, int]],
) -> None:
    content = bytearray((packed if is_packed else built).read_bytes())
    for place, value in flips:
        content[int(place * len(content))] = value
    path = tmp_path / "damaged"
    path.write_bytes(content[: int(end * len(content))])
    try:
        table = SymbolTable(build_table(path))
    except NoSymbols:
        return
    for address in range(0, 0x3000, 97):
        table.frames(address, "the library")


@examples(100)
@given(end=st.just(1.0) | st.floats(0, 1), flips=damage)
def test_a_damaged_table_is_no_accident(
    built: Path, end: float, flips: list[tuple[float, int]]
) -> None:
    content = bytearray(build_table(built))
    for place, value in flips:
        content[int(place * len(content))] = value
    try:
        table = SymbolTable(bytes(content[: int(end * len(content))]))
    except NoSymbols:
        return
    table.frames(0x1100, "the library")


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("malloc", "malloc"),
        (MANGLED, RESERVE),
        (
            "_ZNSt6vectorIiSaIiEE9push_backEOi",
            "std::vector<int, std::allocator<int> >::push_back(int&&)",
        ),
        ("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write"),
        (
            "_ZN46_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$A$GT$4push17h0123456789abcdefE",
            "<alloc::vec::Vec<T> as A>::push",
        ),
        ("_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar"),
        ("dlarft_.localalias", "dlarft_"),
        (f"{MANGLED}.localalias.7", RESERVE),
        (f"{MANGLED}.cold", f"{RESERVE} [clone .cold]"),
        ("_Zjunk", "_Zjunk"),
        ("_Rjunk", "_Rjunk"),
        ("", ""),
        ("_Z\ud800", "_Z\ud800"),
    ],
)
def test_names_come_back_as_they_were_written(symbol: str, name: str) -> None:
    assert demangle(symbol) == name


def test_names_are_not_of_any_length() -> None:
    assert len(demangle("x" * 100_000)) == len(demangle("_Z" + "N3foo" * 50_000)) == 4096


@given(st.text())
def test_no_symbol_makes_the_demangler_fail(text: str) -> None:
    for symbol in (text, f"_Z{text}", f"_R{text}", f"_ZN{text}17h0123456789abcdefE"):
        assert isinstance(demangle(symbol), str)

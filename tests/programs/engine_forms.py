"""Allocates in every way a capture can tell apart, between checkpoints where there are any."""

import ctypes
import mmap
import os
import sys
import threading

try:
    from memdeep import checkpoint
except ImportError:  # under plain memray in an environment without memdeep

    def checkpoint(label):
        pass


PAGE = mmap.PAGESIZE
size = ctypes.c_size_t
pointer = ctypes.c_void_p
compiled = ctypes.CDLL(os.environ["ENGINE_FORMS"])  # engine_forms.c


def form(name, result, *arguments):
    function = getattr(compiled, f"form_{name}")
    function.restype, function.argtypes = result, arguments
    return function


malloc = form("malloc", pointer, size)
calloc = form("calloc", pointer, size, size)
realloc = form("realloc", pointer, pointer, size)
aligned_alloc = form("aligned_alloc", pointer, size, size)
memalign = form("memalign", pointer, size, size)
valloc = form("valloc", pointer, size)
free = form("free", None, pointer)
map_pages = form("mmap", pointer, size)
munmap = form("munmap", ctypes.c_int, pointer, size)


def mappings():
    first, second, third = (map_pages(pages * PAGE) for pages in (64, 32, 16))
    checkpoint("mapped")
    munmap(first + 8 * PAGE, 4 * PAGE)  # out of the middle
    munmap(second, 8 * PAGE)  # the beginning
    munmap(second + 24 * PAGE, 8 * PAGE)  # the end
    checkpoint("holes")
    munmap(first, 10 * PAGE)  # what is left, and its hole; in one call memray would not count it
    munmap(first + 10 * PAGE, 54 * PAGE)
    munmap(third, 16 * PAGE)
    held = mmap.mmap(-1, 40 * PAGE)
    held.close()
    return mmap.mmap(-1, 12 * PAGE)


def allocators():
    kept = [malloc(70_001), calloc(70, 1003), aligned_alloc(64, 64 * 1100)]
    kept += [memalign(128, 71_000), valloc(72_000)]
    checkpoint("allocated")
    kept[0] = realloc(kept[0], 150_000)
    kept[1] = realloc(kept[1], 10)
    for pointer in kept[2:4]:
        free(pointer)
    checkpoint("reallocated")
    return kept


def rows(count):
    return [{"number": number, "text": str(number) * 7} for number in range(count)]


def recurse(depth):
    return [bytearray(900)] + recurse(depth - 1) if depth else []


def work(results, place):
    for turn in range(30):
        passing = [bytearray(3000 + 100 * place) for _ in range(20)]
        results[place] = passing[:turn]


def main():
    kept = [allocators(), mappings()]
    kept.append(rows(3000))
    checkpoint("rows")
    del kept[2][::2]
    results = [None] * 4
    threads = [
        threading.Thread(target=work, args=(results, n), name=f"worker {n}") for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    checkpoint("threads")
    kept.append(recurse(120))
    passing = bytearray(2_000_000)
    del passing
    kept += [eval("[x * 1000 for x in range(500)]"), sorted(str(n) for n in range(2000))]
    if "fork" in sys.argv:
        child = os.fork()
        if not child:
            kept.append(rows(500))
            os._exit(0)
        os.waitpid(child, 0)
    if "kill" in sys.argv:
        os.kill(os.getpid(), 9)
    return kept, results


KEPT = main()

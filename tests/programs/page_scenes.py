"""Runs of every shape that a page must bear; the argument names the scene."""

import copy
import json
import os
import signal
import sys

from memdeep import checkpoint, phase

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"


def parse(items: int) -> object:
    item = json.dumps({"名称": "项目", "值": list(range(1000, 1012))})
    return json.loads(f"[{','.join([item] * items)}]")


def grow(blocks: int, size: int = 100_000) -> list[bytearray]:
    return [bytearray(size) for _ in range(blocks)]


def few() -> None:
    """A few phases with something in each list, and labels that try to be markup."""
    with phase("加载config"):
        config = parse(12_000)
    with phase("复制"):
        copied = copy.deepcopy(config)
    with phase(HOSTILE):
        blocks = grow(20)
        passing = grow(60)
        del passing
    checkpoint("删除_BEFORE", HOSTILE)
    del blocks[:]
    checkpoint("删除_AFTER")
    del copied


def one() -> None:
    """One phase and nothing else."""
    with phase("load"):
        parse(20_000)


def thirty() -> None:
    """Thirty phases, nested, that grow, pass, free and repeat."""
    kept = []
    for number in range(30):
        with phase(f"step {number:02}"):
            kept.append(grow(4 + number % 7))
            for _ in range(1 + number % 4):
                with phase("transform"):
                    passing = grow(10 + 9 * (number % 3))
                    del passing
            if number % 5 == 4:
                with phase("merge"):
                    kept.append(parse(400 * (1 + number % 3)))
        if number % 8 == 7:
            with phase(f"drop {number:02}"):
                del kept[:3]


def repeats() -> None:
    """A thousand repeats of one phase that keeps a little each time, after a warm-up."""
    cache = [grow(80)]
    with phase("serve"):
        for number in range(1000):
            with phase("handle request"):
                cache.append(grow(1, 4_000 if number > 20 else 60_000))
                grow(3)


def thousand() -> None:
    """A thousand phases of different names."""
    kept = []
    for number in range(1000):
        with phase(f"batch {number:04}"):
            kept.append(grow(1, 20_000 + 500 * (number % 11)))


def threads() -> None:
    """Phases of two threads at once, tasks of one thread that overlap, and a mapped file."""
    import asyncio  # here, so that the other scenes stay as small as they are
    import mmap
    import tempfile
    import threading

    kept, turns = [], threading.Barrier(2)

    def work(number: int) -> None:
        with phase(f"work {number}"):
            turns.wait()
            kept.append(grow(100 * number))
            turns.wait()

    workers = [threading.Thread(target=work, args=(n,), name=f"worker-{n}") for n in (1, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    async def task(number: int) -> None:
        with phase(f"task {number}"):
            kept.append(grow(10 * number))
            await asyncio.sleep(0.01 * (4 - number))

    async def tasks() -> None:
        await asyncio.gather(*(task(number) for number in (1, 2, 3)))

    asyncio.run(tasks())
    with phase("map"), tempfile.TemporaryFile() as file:
        file.write(bytes(24 << 20))
        file.flush()
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        kept.append(mapped)
        sum(mapped[place] for place in range(0, len(mapped), 4096))


def killed() -> None:
    """Ended by SIGKILL in the midst of a phase that is still growing."""
    with phase("load"):
        config = parse(6_000)
    with phase("simulate"):
        copies = [copy.deepcopy(config) for _ in range(3)]
        copies.append(grow(300))
        checkpoint("day 4", "the last that was seen")
        grow(20)
        os.kill(os.getpid(), signal.SIGKILL)


SCENES = {made.__name__: made for made in (few, one, thirty, repeats, thousand, threads, killed)}

if __name__ == "__main__":
    SCENES[sys.argv[1]]()

"""Has a worker of a process pool keep as many MB as its argument says, slowly enough to be seen."""

import sys
import time
from concurrent.futures import ProcessPoolExecutor


def eat(most_mb: int) -> int:
    kept = []
    for _ in range(most_mb // 4):
        kept.append(bytearray(b"x") * (4 << 20))
        time.sleep(0.01)
    return len(kept)


if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        print(pool.submit(eat, int(sys.argv[1])).result())

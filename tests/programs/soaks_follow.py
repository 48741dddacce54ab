"""Allocates as fast as it can, in a phase a second: small objects that are kept and let go."""

import json
import random
import sys
import time

import memdeep

chance = random.Random(int(sys.argv[1]))
until_s = time.monotonic() + float(sys.argv[2])
texts = [
    json.dumps([{"价": chance.random(), "量": [n] * 3} for n in range(300)]) for _ in range(50)
]
kept: list[object] = []
number = 0
while time.monotonic() < until_s:
    with memdeep.phase(f"批次_{number % 10}"):
        end_s = time.monotonic() + 1
        while time.monotonic() < end_s:
            found = json.loads(texts[chance.randrange(50)])
            if chance.random() < 0.02:
                kept.append(found)
                if len(kept) > 400:
                    del kept[chance.randrange(len(kept)) :]
    number += 1
print("ready", flush=True)
sys.stdin.read()

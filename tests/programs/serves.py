"""A service: requests that keep a little, churn and end; one phase stays open all the time."""

import sys
import time

import memdeep

CACHE: list[bytearray] = []
SESSIONS: list[bytearray] = []


def churn(count: int) -> None:
    for number in range(count):
        bytes(500 + number % 700)


def leak(size: int) -> None:
    CACHE.append(bytearray(size))


def handle(number: int) -> None:
    SESSIONS.append(bytearray(200_000))
    if len(SESSIONS) > 10:
        del SESSIONS[0]
    churn(300)
    if number % 5 == 0:
        leak(50_000)


requests, pause_s = (int(sys.argv[1]), float(sys.argv[2])) if sys.argv[1:] else (20, 0.01)
with memdeep.phase("服务"):
    memdeep.checkpoint("ready")
    for number in range(requests):
        with memdeep.phase("request"):
            handle(number)
        if number % 7 == 0:
            memdeep.checkpoint("tick")
        time.sleep(pause_s)
    print("served", len(CACHE), flush=True)

"""An application that keeps 30,000,000 bytes in the worker that a request comes to first."""

import os

kept = []


def app(environ, start_response):
    if not kept:
        kept.append(b"x" * (30_000_000 + len(kept)))  # KEPT
    start_response("200 OK", [("Content-Type", "text/plain"), ("Connection", "close")])
    return [str(os.getpid()).encode()]

"""The simulated service's own address in history mode: answers as it did at one past time, over real HTTP."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import numpy as np

from tests.lab.scenarios.scenario import Scenario
from tests.lab.service.simulation import STATUSES
from tests.lab.service.world import ENDPOINTS

PATTERNS = {"/health": "/health", "/api/username/": "/api/username/:name"}
RECENT = 8  # scrapes


class Front:
    """`with Front(scenario) as front: front.url`: each path gets the statuses that it got when the runbook is opened.

    Where no pod runs that is 503; where pods run but nobody reaches them, connections are closed without an answer.
    """

    def __init__(self, one: Scenario) -> None:
        place = int(np.searchsorted(one.drawn.times.mean(axis=0), one.ended_at))
        recent = slice(max(0, place - RECENT), place)
        counts = one.drawn.requests[..., recent].sum(axis=(2, 3))
        silent = bool(one.drawn.running[:, recent].any()) and not counts.any()  # pods run, and nobody reaches them
        rng, lock = np.random.default_rng(one.who.seed), threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if silent:
                    self.close_connection = True
                    return
                number = _endpoint(self.path)
                with lock:
                    status = _status(rng, counts[:, number]) if number is not None else 404
                body = b"ok\n" if status < 400 else b"failed\n"
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the lab's terminal is for people."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _endpoint(path: str) -> int | None:
    pattern = next((name for prefix, name in PATTERNS.items() if path.startswith(prefix)), None)
    return next((n for n, e in enumerate(ENDPOINTS) if (e.method, e.path) == ("GET", pattern)), None)


def _status(rng: np.random.Generator, counts: np.ndarray) -> int:
    """As others were answered then; but who is asked for, the user `test`, exists."""
    known = np.where(np.array(STATUSES) == "404", 0, counts)
    whole = known.sum()
    return int(rng.choice(STATUSES, p=known / whole)) if whole else 503

"""A total time limit for HTTP requests: when it is up, the connection itself is cut.

The time-outs of requests, urllib3 and elastic-transport start anew with every byte, so a server that trickles keeps
them waiting for ever. Connections made by the pools below report to the limit that runs on their thread, and its
timer shuts them down, whatever they wait for (TLS handshake, headers or body).
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from contextlib import suppress
from typing import Any, Self

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

logger = logging.getLogger(__name__)
_thread = threading.local()


class TimeLimit:
    """`with TimeLimit(seconds) as limit:` cuts the connections used on this thread once the seconds are over."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._handles: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    @property
    def remaining(self) -> float:
        """Seconds left; never quite 0, which would mean "no limit" to some libraries."""
        return max(0.001, self._ends - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self._ends

    def watch(self, connection: socket.socket) -> None:
        """Cut this connection too when the time is up. A duplicate is kept: TLS takes the original over."""
        handle = socket.socket(fileno=os.dup(connection.fileno()))
        with self._lock:
            self._handles.append(handle)
        if self.over:
            self._cut()

    def __enter__(self) -> Self:
        _thread.limit = self
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        _thread.limit = None
        self._timer.cancel()
        with self._lock:
            for handle in self._handles:
                handle.close()
            self._handles.clear()

    def _cut(self) -> None:
        with self._lock:
            for handle in self._handles:
                with suppress(OSError):  # closed by the other side already
                    handle.shutdown(socket.SHUT_RDWR)


def running() -> TimeLimit | None:
    """The limit that holds on this thread, if any."""
    return getattr(_thread, "limit", None)


class RetryInTime(urllib3.Retry):
    """Tries again only while a quarter of the time limit is left: a connection that was cut is no reason to."""

    def increment(self, method: str | None = None, url: str | None = None, *args: Any, **kwargs: Any) -> Self:
        """As urllib3 does; raises the error itself when the time is too short."""
        limit = running()
        why = kwargs.get("error") or getattr(kwargs.get("response"), "status", "")
        if limit is not None and limit.remaining < limit.seconds / 4:
            logger.info("Not asked again, for want of time: %s", why)
            raise kwargs.get("error") or urllib3.exceptions.MaxRetryError(kwargs["_pool"], url or "", None)
        retry = super().increment(method, url, *args, **kwargs)
        logger.info("Asking again: %s", why)
        return retry


class _Cuttable(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _watched(super()._new_conn())

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:  # kept alive since an earlier request
            _watched(self.sock)
        super().request(*args, **kwargs)


class CuttableHTTPS(_Cuttable, HTTPSConnection):
    """A TLS connection that a TimeLimit can cut."""


def _watched(connection: socket.socket) -> socket.socket:
    limit = running()
    if limit is not None:
        limit.watch(connection)
    return connection


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Cuttable


class _TLSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = CuttableHTTPS


def make_cuttable(pool: urllib3.HTTPConnectionPool) -> None:
    """Let a TimeLimit cut the connections of this one pool."""
    pool.ConnectionCls = CuttableHTTPS if pool.scheme == "https" else _Cuttable


def make_all_cuttable(manager: urllib3.PoolManager) -> None:
    """Let a TimeLimit cut the connections of every pool that this manager makes."""
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}

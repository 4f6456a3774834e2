"""HTTP requests to mirrors that can be aborted at any time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any


@contextmanager
def open_request() -> Iterator[Callable[[str, float], Any]]:
    """Give (url, timeout) -> response, by http and https only; timeout: of each step, in seconds.

    At the end sockets are shut down before responses are closed, because closing waits for a thread that still reads.
    """
    from urllib.request import HTTPHandler, HTTPSHandler, build_opener

    sockets, responses, ended = list[socket.socket](), list[Any](), threading.Event()

    def keep(connected: socket.socket) -> None:
        sockets.append(connected)
        if ended.is_set():
            raise TimeoutError

    opener = build_opener(*(_keep_sockets(kind, keep) for kind in (HTTPHandler, HTTPSHandler)), _refuse_schemes())

    def ask(url: str, timeout: float) -> Any:
        responses.append(opener.open(url, timeout=timeout))
        return responses[-1]

    try:
        yield ask
    finally:
        ended.set()
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for response in responses:
            response.close()


def _keep_sockets(handler: Any, keep: Callable[[socket.socket], None]) -> type:
    """Return a handler of urllib that passes each connected socket to ``keep``."""

    def do_open(self: Any, http_class: Callable[..., Any], request: Any, **arguments: Any) -> Any:
        def prepare(*args: Any, **settings: Any) -> Any:
            connection = http_class(*args, **settings)
            connect = connection.connect

            def connect_and_keep() -> None:
                connect()
                keep(connection.sock)

            connection.connect = connect_and_keep
            return connection

        return handler.do_open(self, prepare, request, **arguments)

    return type(handler.__name__, (handler,), {"do_open": do_open})


def _refuse_schemes() -> type:
    """Return a handler of urllib that follows redirects to http and https only."""
    from urllib.request import HTTPRedirectHandler

    class Redirects(HTTPRedirectHandler):
        def redirect_request(self, req: Any, fp: Any, *rest: Any) -> Any:
            # urllib would read the body of a redirect, which may be endless.
            fp.close()
            if not rest[-1].startswith(("http://", "https://")):
                raise ValueError(f"it redirects to {rest[-1]}")
            return super().redirect_request(req, fp, *rest)

    return Redirects

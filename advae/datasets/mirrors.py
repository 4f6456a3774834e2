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
    from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, build_opener

    sockets, responses, ended = list[socket.socket](), list[Any](), threading.Event()

    class Kept:
        def do_open(self, http_class: Callable[..., Any], request: Any, **arguments: Any) -> Any:
            def prepare(*args: Any, **settings: Any) -> Any:
                connection = http_class(*args, **settings)
                connect = connection.connect

                def connect_and_keep() -> None:
                    connect()
                    sockets.append(connection.sock)
                    if ended.is_set():
                        raise TimeoutError

                connection.connect = connect_and_keep
                return connection

            return super().do_open(prepare, request, **arguments)  # type: ignore[misc]

    class Redirects(HTTPRedirectHandler):
        def redirect_request(self, req: Any, fp: Any, *rest: Any) -> Any:
            # urllib would read the body of a redirect, which may be endless.
            fp.close()
            if not rest[-1].startswith(("http://", "https://")):
                raise ValueError(f"it redirects to {rest[-1]}")
            return super().redirect_request(req, fp, *rest)

    opener = build_opener(type("Http", (Kept, HTTPHandler), {}), type("Https", (Kept, HTTPSHandler), {}), Redirects)

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

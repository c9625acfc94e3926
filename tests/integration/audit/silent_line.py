"""A line to a PostgreSQL server on which the server falls silent, as behind a broken switch."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from sqlalchemy import make_url

_READY = b"Z\x00\x00\x00\x05"
"""How PostgreSQL ends each answer, the one to a login included."""


class LineThatFallsSilent:
    """Passes on what both sides say, until the server has given so many answers.

    Args:
        url: address of a database.
    """

    def __init__(self, url: str) -> None:
        """Nothing is listened to yet."""
        address = make_url(url)
        folder, port = address.query.get("host"), address.port or address.query.get("port") or 5432
        if folder:
            self._server: tuple[str, int] | str = f"{folder}/.s.PGSQL.{port}"
        else:
            self._server = (address.host or "localhost", int(str(port)))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._opened: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        own = address.set(host="127.0.0.1", port=self._listening.getsockname()[1], query={})
        self.url = own.update_query_dict({"sslmode": "disable"}).render_as_string(
            hide_password=False
        )
        """Address of the database on this line."""
        self.answers_left: int | None = None
        """After so many more answers the server falls silent; never, if ``None``."""

    @property
    def is_silent(self) -> bool:
        """Whether nothing of what the server says comes through."""
        return self.answers_left is not None and self.answers_left <= 0

    def speak_again(self) -> None:
        """Let everything through on lines that are opened from now on."""
        self.answers_left = None

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all lines."""
        self._listening.shutdown(socket.SHUT_RDWR)
        for opened in (self._listening, *self._opened):
            _end(opened)
        for thread in self._threads:
            thread.join()

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            family = socket.AF_UNIX if isinstance(self._server, str) else socket.AF_INET
            server = socket.socket(family)
            server.connect(self._server)
            self._opened += (client, server)
            self._start(self._pass_on, client, server, False)
            self._start(self._pass_on, server, client, True)

    def _pass_on(self, source: socket.socket, target: socket.socket, is_server: bool) -> None:
        try:
            while said := source.recv(65_536):
                if not is_server:
                    target.sendall(said)
                elif not self.is_silent:
                    if self.answers_left is not None:
                        self.answers_left -= said.count(_READY)
                    target.sendall(said)
        except OSError:
            pass  # the other side has hung up
        finally:
            _end(source)
            _end(target)


def _end(line: socket.socket) -> None:
    with suppress(OSError):  # it is closed at the other end
        line.shutdown(socket.SHUT_RDWR)
    line.close()

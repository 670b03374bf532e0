"""When a serving process stops, and how fast: asked by a signal, or by the parent of workers through a pipe."""

import asyncio
import os
import signal
import sys

import structlog

log = structlog.get_logger(__name__)

TERMINATE = b"T"
"""What a parent writes to a worker for each SIGTERM that it receives."""
INTERRUPT = b"I"
"""Likewise for each SIGINT."""


class Stop:
    """`requested` is set by the first stop request, `force` by the second.

    `notice` says whether proxies get time to notice: not when a person at a terminal stops the process (SIGINT), and
    not when the parent has died, because another one may already be taking over.
    """

    def __init__(self) -> None:
        self.requested = asyncio.Event()
        self.force = asyncio.Event()
        self.notice = True

    def listen_to_signals(self) -> None:
        """Let SIGTERM, SIGQUIT and SIGINT request a stop, in the running loop. Other signals don't end the process."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.request)
        loop.add_signal_handler(signal.SIGQUIT, self.request)
        loop.add_signal_handler(signal.SIGINT, lambda: self.request(notice=False))
        ignore_others()

    def listen_to_parent(self) -> None:
        """Let the parent request a stop through standard input, or by closing it.

        A signal may arrive as well, because service managers signal every process of the service; so signals alone
        never force the end, however many there are.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
            loop.add_signal_handler(number, self.requested.set)
        ignore_others()
        pipe = sys.stdin.fileno()
        os.set_blocking(pipe, False)

        def read() -> None:
            words = os.read(pipe, 64)
            if not words:
                loop.remove_reader(pipe)
                self.notice = self.notice and self.requested.is_set()
                self.requested.set()
            for word in words:
                self.request(notice=word == TERMINATE[0])

        loop.add_reader(pipe, read)

    def request(self, *, notice: bool = True) -> None:
        """Request a stop, or force it if one was requested before."""
        if self.requested.is_set():
            self.force.set()
        else:
            self.notice = notice
            self.requested.set()


def ignore_others() -> None:
    """Log the other signals that would end the process with everything that it is doing, such as the SIGHUP of a closed
    terminal or of a log rotation, in the running loop.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM):
        loop.add_signal_handler(number, _log_ignored, number)


def _log_ignored(number: signal.Signals) -> None:
    advice = "restart the gateway to use a changed configuration" if number is signal.SIGHUP else "SIGTERM stops it"
    log.info("Signal ignored", signal=number.name, advice=advice)

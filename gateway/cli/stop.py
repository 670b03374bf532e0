"""When a serving process is to stop, and how fast: asked by a signal, or through a pipe by the parent of workers."""

import asyncio
import os
import signal
import sys

TERMINATE = b"T"
"""What a parent writes to a worker for each SIGTERM of its own."""
INTERRUPT = b"I"
"""Likewise for each SIGINT."""


class Stop:
    """`asked` is set by the first request to stop, `hurry` by the second. `notice` is whether proxies should be given
    time: not when somebody sits at the terminal, and not when the parent is gone, as another may be taking over.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurry = asyncio.Event()
        self.notice = True

    def hear_signals(self) -> None:
        """SIGTERM and SIGINT ask; from now on, in the running loop."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.ask)
        loop.add_signal_handler(signal.SIGINT, lambda: self.ask(notice=False))

    def hear_parent(self) -> None:
        """The parent asks through standard input, and by its end. A signal may come beside it, as service managers
        signal every process that they know, so no number of signals means hurry.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.asked.set)
        pipe = sys.stdin.fileno()
        os.set_blocking(pipe, False)

        def read() -> None:
            words = os.read(pipe, 64)
            if not words:
                loop.remove_reader(pipe)
                self.notice = self.notice and self.asked.is_set()
                self.asked.set()
            for word in words:
                self.ask(notice=word == TERMINATE[0])

        loop.add_reader(pipe, read)

    def ask(self, *, notice: bool = True) -> None:
        """Stop, or, when asked before, hurry."""
        if self.asked.is_set():
            self.hurry.set()
        else:
            self.notice = notice
            self.asked.set()

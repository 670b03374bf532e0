"""When a serving process stops, and how fast: asked by a signal, or by the parent of workers through a pipe."""

import asyncio
import signal

import structlog

from gateway.cli.signals import HARMLESS

log = structlog.get_logger(__name__)


class Stop:
    """`requested` is set by the first stop request, `force` by the second of `request`.

    `notice` says whether proxies get time to notice: not when a person at a terminal stops the process (SIGINT), and
    not when the parent has died, because another one may already be taking over.
    """

    def __init__(self) -> None:
        self.requested = asyncio.Event()
        self.force = asyncio.Event()
        self.notice = True
        self._is_first = True

    def listen_to_signals(self) -> None:
        """Let SIGTERM, SIGQUIT and SIGINT request a stop, in the running loop. Other signals don't end the process."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.request)
        loop.add_signal_handler(signal.SIGQUIT, self.request)
        loop.add_signal_handler(signal.SIGINT, lambda: self.request(notice=False))
        ignore_others()

    def listen_as_worker(self) -> None:
        """Let the signals of service managers, which signal every process of a service, request a stop.

        They never force the end, however many there are: only the parent's do (`gateway.cli.parent`). It also reloads.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
            loop.add_signal_handler(number, self.requested.set)
        ignore_others()
        loop.add_signal_handler(signal.SIGHUP, lambda: None)

    def abandon(self) -> None:
        """The parent has died: stop at once, because another one may already be taking over."""
        self.notice = self.notice and self.requested.is_set()
        self.requested.set()

    def request(self, *, notice: bool = True) -> None:
        """Request a stop; the second call forces it. A worker's own signal, which may come first, is no call."""
        if not self._is_first:
            self.force.set()
            return
        self._is_first = False
        self.notice = notice
        self.requested.set()


def ignore_others() -> None:
    """Log the other signals that would end the process with everything that it is doing, in the running loop."""
    loop = asyncio.get_running_loop()
    for number in HARMLESS:
        loop.add_signal_handler(number, _log_ignored, number)


def _log_ignored(number: signal.Signals) -> None:
    advice = "the gateway is starting" if number is signal.SIGHUP else "SIGTERM stops it"
    log.info("Signal ignored", signal=number.name, advice=advice)

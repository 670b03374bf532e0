"""The signals that ask a gateway for nothing. They must not end it: not while it serves, and not while it starts."""

import signal

_NAMES = (
    "SIGHUP",
    "SIGUSR1",
    "SIGUSR2",
    "SIGALRM",
    "SIGVTALRM",
    "SIGPROF",
    "SIGIO",
    "SIGPWR",
)  # some systems lack some
HARMLESS = tuple(signal.Signals[name] for name in _NAMES if name in signal.Signals.__members__)
"""SIGHUP reloads the configuration once the gateway serves (`gateway.cli.reload_triggers`)."""


def ignore_harmless() -> None:
    """Ignore them until `gateway.cli.stop` handles them: a start takes a second, and its default is to end it."""
    for number in HARMLESS:
        signal.signal(number, signal.SIG_IGN)

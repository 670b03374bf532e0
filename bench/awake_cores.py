"""Keeps idle cores awake during a measurement, where Linux lets it.

A write that wakes a process on a sleeping core pays for waking the core; in a virtual machine it is a call to the
hypervisor. The slower of two proxies pays it more often, because its peers have the time to
fall asleep, and in production its peers are other machines. See `Documentation/power/pm_qos_interface.rst` of Linux.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DEVICE = Path("/dev/cpu_dma_latency")


@contextmanager
def awake_cores() -> Iterator[bool]:
    """Ask for a wake-up latency of 0 µs until the end. Yields whether the system accepted it: it needs root."""
    try:
        device = _DEVICE.open("wb", buffering=0)
    except OSError:
        yield False
        return
    with device:
        device.write(struct.pack("i", 0))
        yield True

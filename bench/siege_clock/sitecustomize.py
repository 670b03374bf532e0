"""Steps the wall clock of a gateway: Python imports this at start if its folder is in PYTHONPATH.

`clock` in the state directory has the seconds by which `time.time` is off, as text. The monotonic clock stays right.
"""

import os
import time

_FILE = os.path.join(os.environ.get("OPENCLAW_STATE_DIR", "/nonexistent"), "clock")
_INTERVAL = 0.25  # seconds between two looks at the file
_real_time, _real_time_ns, _monotonic = time.time, time.time_ns, time.monotonic
_offset, _next_look = 0.0, 0.0


def _current_offset() -> float:
    global _offset, _next_look  # noqa: PLW0603  one clock for the process
    now = _monotonic()
    if now >= _next_look:
        _next_look = now + _INTERVAL
        try:
            with open(_FILE) as file:
                _offset = float(file.read() or 0)
        except OSError:
            _offset = 0.0
    return _offset


time.time = lambda: _real_time() + _current_offset()
time.time_ns = lambda: _real_time_ns() + int(_current_offset() * 1e9)

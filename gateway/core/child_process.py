"""The command and the environment of the gateway's own Python child processes."""

import os
import sys

_INHERITED = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "SYSTEMROOT", "TZ")
"""The variables that a child needs. The others may hold keys, and a child parses untrusted input."""


def python_command(module: str) -> tuple[str, ...]:
    """Runs a module with this Python. `-P` keeps the working directory out of the child's import path."""
    return (sys.executable, "-P", "-m", module)


def child_environment() -> dict[str, str]:
    """A copy of the inherited variables."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}

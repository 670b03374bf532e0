"""Paths that people write."""

from pathlib import Path


def user_path(text: str | Path) -> Path:
    """The path, with the home directory for `~` and `~name`. A home that nobody knows stays as it is written: who opens
    the path reports that it is not there.
    """
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:
        return path

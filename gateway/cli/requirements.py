"""What must be installed before anything else is imported. Uses the standard library only and imports nothing."""

from collections.abc import Callable
from importlib.util import find_spec

Finder = Callable[[str], object | None]

_EXTENSIONS = ("aiohttp._http_parser", "aiohttp._http_writer")


def missing_requirement(find: Finder = find_spec) -> str | None:
    """Return one sentence on what to reinstall, or None if the gateway can run.

    aiohttp falls back to pure Python in silence when its C extensions are absent; bursts of a stream then cost
    2.7 times as much, so that is an error here. `find` locates a module by name and returns None if there is none.
    """
    if find("aiohttp") is None:
        return (
            "aiohttp is not installed for this Python: install the gateway with its dependencies "
            "(`make run`, or `pip install openclaw-gateway`)."
        )
    absent = [name for name in _EXTENSIONS if find(name) is None]
    if absent:
        return (
            f"aiohttp is installed without its C extensions ({', '.join(absent)} not found), which makes it several "
            "times slower: reinstall it from a wheel with `pip install --force-reinstall --only-binary :all: aiohttp`."
        )
    return None

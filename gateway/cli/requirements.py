"""Checks of the installation that run before other imports. Uses the standard library only."""

from collections.abc import Callable
from importlib.machinery import PathFinder
from importlib.util import find_spec

Finder = Callable[[str], object | None]

_EXTENSIONS = ("aiohttp._http_parser", "aiohttp._http_writer")


def locate(name: str) -> object | None:
    """The spec of a module, None if there is none. `find_spec` alone would import the package of a module inside one,
    which takes half a second that short commands must not cost.
    """
    package, _, _module = name.rpartition(".")
    if not package:
        return find_spec(name)
    spec = find_spec(package)
    return PathFinder.find_spec(name, spec.submodule_search_locations) if spec else None


def missing_requirement(find: Finder = locate) -> str | None:
    """One sentence on what to reinstall, or None if the gateway can run.

    Without its C extensions aiohttp falls back to pure Python silently; bursts of a stream then cost 2.7 times as much,
    so that is an error here. `find` locates a module by name and returns None if there is none.
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

"""Imports only go down, and each outside library stays in the packages that own it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.syntax import syntax_tree

ROOT = Path(__file__).parents[1]

# Lowest first; packages in one set must not import each other.
LAYERS = (
    {"core"},
    {"config", "observe", "metrics"},
    {"wire"},
    {"upstream", "state", "media", "alerts"},
    {"tools"},
    {"agents", "access"},
    {"runs"},
    {"conversations", "ledger"},
    {"traces"},
    {"dispatch"},
    {"http", "ui"},
    {"tracing"},
    {"validation"},
    {"parts", "watch", "doctor"},
    {"provision", "cooldown_sync", "instance_sync", "key_sync"},
    {"shared", "monitoring", "lockouts"},
    {"routes"},
    {"generations", "reloader"},
    {"operating", "collectors"},
    {"app"},
    {"cli"},
    {"__main__"},
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

# aiohttp is one distribution with two halves; these packages own them.
SERVER = frozenset({"http", "app", "cli", "collectors", "monitoring", "operating"})
CLIENT = frozenset({"media", "alerts"})
NEITHER = frozenset({
    "aiohttp.typedefs", "aiohttp.abc", "aiohttp.http_exceptions", "aiohttp.http_parser", "aiohttp.streams",
    "aiohttp.WSCloseCode", "aiohttp.WSMessage", "aiohttp.WSMsgType",
})  # fmt: skip
RATELIMIT_USERS = frozenset(
    {
        "app",
        "collectors",
        "parts",
        "provision",
        "dispatch",
        "http",
        "cooldown_sync",
        "instance_sync",
        "key_sync",
        "lockouts",
        "operating",
        "shared",
        "state",
    }
)


def imported(source: str, package: str) -> Iterator[str]:
    """The dotted names that a module of `package` imports, `from a import b` as `a.b`; also inside TYPE_CHECKING."""
    for node in ast.walk(syntax_tree(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join((*above, *([node.module] if node.module else [])))
            yield from (f"{base}.{alias.name}" for alias in node.names)


def gateway_problem(room: str, name: str) -> str | None:
    """What is wrong with an import of `name` in the part `room` of the gateway; None when nothing is."""
    top, *path = name.split(".")
    match top:
        case "gateway" if path[:1] not in ([room], ["__version__"]):
            if not path or path[0] not in LEVEL:
                return f"{name} is in no known layer"
            return None if LEVEL[path[0]] < LEVEL[room] else f"{room} may not import {name}"
        case "aiohttp":
            return aiohttp_problem(room, name)
        case "aiohttp_sse":
            return None if room in SERVER else f"{room} may not import the server's {name}"
        case "redis" | "hiredis":
            return None if room == "state" else f"{room} may not import {name}"
        case "mcp" | "mcp_types" | "anyio" | "httpx2":
            return None if room == "tools" else f"{room} may not import {name}"
        case "opentelemetry" | "requests":
            return None if room == "traces" else f"{room} may not import {name}"
        case "httptools" | "aiohappyeyeballs":
            return None if room == "upstream" else f"{room} may not import {name}"
        case "openclaw_ratelimit":
            return None if room in RATELIMIT_USERS else f"{room} may not import {name}"
        case _:
            return None


def aiohttp_problem(room: str, name: str) -> str | None:
    if room not in SERVER | CLIENT:
        return f"{room} may not import {name}"
    if any(name == module or name.startswith(f"{module}.") for module in NEITHER):
        return None
    part = name.removeprefix("aiohttp").removeprefix(".")
    is_server = part.startswith(("web", "HttpVersion"))
    return None if is_server == (room in SERVER) else f"{room} may not import {name}"


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def dotted(path: Path) -> str:
    """The package that relative imports of the module start from."""
    return ".".join(path.relative_to(ROOT).parent.parts)


def problems_of(path: Path) -> Iterator[str]:
    """What is wrong with the imports of a module of the gateway."""
    room = path.relative_to(ROOT / "gateway").parts[0].removesuffix(".py")
    names = imported(path.read_text(encoding="utf-8"), dotted(path))
    if room == "__init__":
        yield from (f"{name}: the root package is below everything" for name in names if name.startswith("gateway"))
    elif room not in LEVEL:
        yield f"{room} is in no layer; give it one above"
    else:
        yield from (problem for name in names if (problem := gateway_problem(room, name)))


# One test for all modules: a test for each would cost more than reading it.
def test_a_module_imports_from_below_only():
    paths = modules("gateway")
    assert len(paths) > 500
    assert [f"{path.relative_to(ROOT)}: {problem}" for path in paths for problem in problems_of(path)] == []


def test_the_documented_layers_are_these():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("| layer | what it does |")[2].partition("\n\n")[0]
    rows = [set(re.findall(r"`(\w+)(?:\.py)?`", row.split("|")[1])) for row in table.splitlines()[2:]]
    assert sorted(name for row in rows for name in row) == sorted(LEVEL.keys() - {"__main__", "ui"})
    levels = [{LEVEL[name] for name in row} for row in rows]
    assert all(len(row) == 1 for row in levels)
    assert sorted(levels, key=max, reverse=True) == levels


def test_the_servers_and_the_clients_half_of_aiohttp_are_not_mixed_by_attribute():
    for path in modules("gateway/media"):
        for node in ast.walk(syntax_tree(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "aiohttp":
                assert not node.attr.startswith("web"), f"{path.name}: aiohttp.{node.attr}"


def test_the_stores_import_the_limiter_library_in_one_module_only():
    importing = [
        path.name
        for path in modules("gateway/state")
        if any(
            name.split(".")[0] == "openclaw_ratelimit"
            for name in imported(path.read_text(encoding="utf-8"), dotted(path))
        )
    ]
    assert importing == ["script.py"]


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("core", "import gateway.config"),
        ("config", "from gateway.observe.log import configure"),
        ("wire", "from gateway.upstream import call"),
        ("upstream", "from gateway.state import sessions"),
        ("agents", "from gateway.access.client import ClientAddress"),
        ("access", "from gateway import http"),
        ("http", "if TYPE_CHECKING:\n    from gateway.app import create_app"),
        ("provision", "def late():\n    import gateway.app"),
        ("app", "from gateway.cli import main"),
        ("core", "from gateway import nowhere"),
        ("core", "import gateway"),
        ("core", "from ..http import routes"),
        ("agents", "import aiohttp"),
        ("access", "from aiohttp import web"),
        ("upstream", "from aiohttp import web"),
        ("upstream", "import aiohttp.web"),
        ("upstream", "from aiohttp.web import Request"),
        ("upstream", "import aiohttp_sse"),
        ("http", "import aiohttp"),
        ("http", "from aiohttp import ClientSession"),
        ("upstream", "import redis.asyncio"),
        ("http", "from httptools import HttpRequestParser"),
        ("access", "from openclaw_ratelimit import Verdict"),
        ("runs", "import openclaw_ratelimit"),
    ],
)
def test_a_forbidden_import_is_found(room, line):
    (name,) = imported(line, f"gateway.{room}")
    assert gateway_problem(room, name) is not None


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("http", "from gateway.runs.run import Run"),
        ("provision", "from gateway.http.runtime import Runtime"),
        ("app", "from gateway.provision import provisioned"),
        ("upstream", "from gateway import __version__"),
        ("wire", "from gateway.wire import contract"),
        ("wire", "from .contract import Parser"),
        ("http", "from aiohttp import web"),
        ("http", "from aiohttp.typedefs import Handler"),
        ("media", "import aiohttp"),
        ("media", "from aiohttp.abc import AbstractResolver"),
        ("state", "from redis.asyncio import Redis"),
        ("app", "from openclaw_ratelimit import FailureLimiter"),
        ("core", "import json"),
    ],
)
def test_an_allowed_import_passes(room, line):
    (name,) = imported(line, f"gateway.{room}")
    assert gateway_problem(room, name) is None

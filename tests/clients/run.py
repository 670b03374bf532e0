"""Runs real clients against a gateway and a scripted provider in each format, and prints a table for each of them.

The newest version of each client is installed by name from the registry that npm (or pip) is set up for, into a folder
outside the repository. Homes are temporary, all traffic is loopback. A scenario that a client can't do itself is run
against the provider without a gateway, where it has to fail too; a failure is compared with that without a gateway.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from tests.clients.cells import PROVIDERS, Runner
from tests.clients.claude_code import ClaudeCode
from tests.clients.client import Client, Scenario, npm_install
from tests.clients.cline import Cline
from tests.clients.codex import Codex
from tests.clients.continue_cli import ContinueCli
from tests.clients.open_webui import OpenWebui
from tests.clients.openai_agents import OpenaiAgents
from tests.clients.opencode import Opencode
from tests.clients.qwen_code import QwenCode
from tests.clients.results import Cell, Result, Results, counts, row_of
from tests.clients.scenarios import SCENARIOS

CLIENTS: dict[str, type[Client]] = {
    client.name: client
    for client in (Codex, Opencode, Cline, QwenCode, ContinueCli, ClaudeCode, OpenaiAgents, OpenWebui)
}
_NODE = "22"  # some clients need it


async def result_of(
    runner: Runner, scenario: Scenario, cell: Cell, results: Results, jobs: asyncio.Semaphore
) -> Result:
    """The result of a cell, from an earlier run if it passed there. Whatever goes wrong in it is its outcome."""
    if (done := results.done(cell)) is not None:
        return done
    async with jobs:
        try:
            outcome = await runner.outcome(scenario, cell.provider)
        except Exception:  # noqa: BLE001  the other cells still run; this one has failed
            outcome = traceback.format_exc()
    result = Result(cell, outcome)
    results.add(result)
    return result


async def table(client: type[Client], folder: Path, results: Results, options: argparse.Namespace) -> list[Result]:
    """Print the table of a client, and below it what went wrong. Returns all of it."""
    program = options.program or client.installed(options.folder / client.name)
    if options.program is None and not (options.resume and program.exists()):
        client.install(options.folder / client.name)
    version = client.version(program, folder)
    runner = Runner(client, program, folder / client.name)
    providers = [provider for provider in PROVIDERS if options.provider in provider]
    jobs = asyncio.Semaphore(options.jobs if client.runs_in_parallel else 1)
    print(f"\n| {client.name} {version} | {' | '.join(providers)} |")  # noqa: T201  the output
    print(f"|---|{'---|' * len(providers)}", flush=True)  # noqa: T201
    collected: list[Result] = []
    for scenario in (*SCENARIOS, *client.scenarios):
        if options.only in scenario.__name__:
            cells = [Cell(client.name, version, scenario.__name__, provider) for provider in providers]
            row = await asyncio.gather(*(result_of(runner, scenario, cell, results, jobs) for cell in cells))
            collected += row
            print(row_of(scenario.__name__, [result.outcome for result in row]), flush=True)  # noqa: T201
    for name, reason in client.unable.items():
        if options.only in name:
            print(f"`-` {name}: {reason}")  # noqa: T201
    for result in collected:
        if result.failed:
            print(f"FAILED {result.cell.scenario}, {result.cell.provider}: {result.outcome}", flush=True)  # noqa: T201
    return collected


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "clients",
        nargs="*",
        choices=[[], *CLIENTS],
        metavar="CLIENT",
        help=f"{', '.join(CLIENTS)}; all of them if none is named",
    )
    parser.add_argument("--only", default="", help="run scenarios with this in their name")
    parser.add_argument("--provider", default="", help="run providers with this in their name")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with an interrupted run: the same versions, without the cells that have passed",
    )
    parser.add_argument("--jobs", type=int, default=2, help="cells at the same time (2)")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument(
        "--folder",
        type=Path,
        default=cache / "openclaw-gateway-clients",
        help="where clients are installed and the results are (%(default)s)",
    )
    parser.add_argument("--program", type=Path, help="a client that is installed already")
    return parser.parse_args()


async def main() -> int:
    options = arguments()
    if (task := asyncio.current_task()) is not None:  # so that clients and gateways end with it, as after Ctrl-C
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    options.folder.mkdir(parents=True, exist_ok=True)
    results = Results(options.folder / "results.jsonl", resume=options.resume)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        node = options.folder / "node"
        if not node.exists():
            npm_install("node", node, _NODE)
        os.environ["PATH"] = f"{node / 'node_modules' / '.bin'}:{os.environ['PATH']}"
        collected: list[Result] = []
        for name in options.clients or CLIENTS:
            collected += await table(CLIENTS[name], Path(temporary), results, options)
    print(f"\nCells: {', '.join(f'{number} {kind}' for kind, number in counts(collected).items())}")  # noqa: T201
    return 1 if any(result.failed for result in collected) else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

"""The ledger against the provider's own books: `python bench/ledger.py [--requests 100000]`.

One gateway gets requests of all kinds (whole, streamed, responses, WebSockets, messages, compactions, background runs,
embeddings, conversations) with 5 % of faults at the provider, fallbacks, rescues, and 4 % of clients that disconnect at
a random moment. Meanwhile further clients are processes that are killed in the middle of streams. Then every request
that reached the provider is compared with its row: the same model and the same tokens where the provider reported them.
The exit status is 1 if a row is missing, double or different, or if a budget or limit still has a reservation.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
import uvloop
from gateway_process import ROOT, running

sys.path.insert(0, str(ROOT))
from tests.fault.conftest import TOKEN, settings
from tests.fault.ledger_load import LIMITS, Books, Load, compared, serve_books, still_reserved
from tests.fault.provider import FaultProvider

_PENDING = "openclaw_gateway_ledger_pending_rows"


async def measured(requests: int, processes: int, seed: int, state: Path) -> int:
    """Run the load and print both books. 1 if they differ."""
    async with FaultProvider().serving() as provider:
        books = Books(seed)
        serve_books(provider, books)
        config = settings({"fake": {"baseUrl": provider.url, "apiKey": "k"}}, {})
        config["agents"]["defaults"]["model"] = {"primary": "fake/first", "fallbacks": ["fake/second"]}
        config["memory"]["search"]["model"] = "vectors"
        retry = config["gateway"]["retry"]
        # A busy machine must not look like a fault of the provider.
        retry |= dict.fromkeys((key for key in retry if key.endswith("TimeoutMs")), 60_000) | {"maxRetries": 0}
        config["gateway"]["http"]["endpoints"]["messages"] = {"enabled": True}
        config["gateway"] |= {"drain": {"noticeMs": 0}, **LIMITS}
        async with running(config, state) as gateway:
            base, headers = f"http://127.0.0.1:{gateway.port}", {"Authorization": f"Bearer {TOKEN}"}
            timeout = aiohttp.ClientTimeout(total=300)
            async with aiohttp.ClientSession(base, headers=headers, timeout=timeout) as client:
                load = Load(client, seed)
                began = time.monotonic()
                async with asyncio.TaskGroup() as group:
                    killing = group.create_task(load.kill_processes(processes, gateway.port, TOKEN))
                    group.create_task(load.run(requests))
                seconds = time.monotonic() - began
                result = await compared(client, books, killed=load.killed, wait=60.0)
                result.problems += await unsettled(client)
                reserved = await still_reserved(client)
                size = sum(file.stat().st_size for file in state.glob("gateway.sqlite*"))
        attempts = sum(map(len, books.entries.values()))
    print(f"{requests} requests in {seconds:.0f} s, {attempts} at the provider")
    print(f"{len(load.killed) - processes} clients closed their connection")
    in_stream = sum(not entry.done for marker in killing.result() for entry in books.entries.get(marker, ()))
    print(f"{processes} client processes killed with SIGKILL, {in_stream} of them before the provider had sent all")
    print(f"equal to the provider's count: {result.exact}")
    print(f"estimated, the provider sent no count: {result.estimated}")
    print(f"failed before an answer: {result.unbilled}, never reached the provider: {result.unsent}")
    print(f"size of the store with conversations and responses: {size / 2**20:.0f} MiB")
    print(f"missing, double or different: {len(result.problems)}")
    for problem in result.problems[:20]:
        print(f"  {problem}")
    print(f"still reserved of budgets and limits: {len(reserved)} {reserved or ''}")
    return int(bool(result.problems or reserved))


async def unsettled(client: aiohttp.ClientSession) -> list[str]:
    """What the metrics say of rows that are neither stored nor lost although every run has ended."""
    async with client.get("/metrics") as response:
        text = await response.text()
    (line,) = (line for line in text.splitlines() if line.startswith(f"{_PENDING} "))
    return [] if float(line.split()[1]) == 0 else [line]


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=50, help="client processes to kill")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as state, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measured(options.requests, options.processes, options.seed, Path(state)))


if __name__ == "__main__":
    sys.exit(main())

"""What client keys cost: `python bench/client_keys.py [--keys 10000]`. See README.md here.

Prints the memory of the replica, measured by tracemalloc while it is filled, and the processor time of authenticating
one request: with the owner's secret and no keys at all, with it beside the keys, and with a key. The times are the best
of several rounds, as others may use the machine. The exit status is 1 above 5 MB or one microsecond more.
"""

import argparse
import gc
import sys
import time
import tracemalloc

from multidict import CIMultiDict, CIMultiDictProxy

from gateway.access.client import ClientResolver
from gateway.access.client_keys import KeyReplica, KeyRing
from gateway.access.outcome import Authenticated
from gateway.access.shared_secret import SharedSecret
from gateway.core.client_key import KeyRecord, digest_of, new_key
from gateway.core.identity import ClientLimits

TOKEN = "0123456789abcdef" * 4
CLIENT = ClientResolver(()).resolve("203.0.113.7", CIMultiDict())
MAX_BYTES = 5e6
MAX_NANOSECONDS = 1000.0
ROUNDS, CALLS = 40, 5_000


def filled(count: int) -> tuple[KeyReplica, list[str], int]:
    """A replica of so many keys, the keys, and the bytes that the replica takes."""
    keys = [new_key() for _ in range(count)]
    tracemalloc.start()
    replica = KeyReplica()
    replica.loaded = True
    for number, key in enumerate(keys):
        name = f"client-{number:05}"
        replica.put(
            KeyRecord(
                name, digest_of(key).hex(), agents=("main",), limits=ClientLimits(60), created=time.time(), expires=4e9
            )
        )
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return replica, keys, size


def nanoseconds(judge: SharedSecret, secrets: list[str]) -> float:
    """Processor time of one authentication."""
    requests = [
        CIMultiDictProxy(CIMultiDict([("Host", "gateway"), ("Authorization", f"Bearer {secret}")]))
        for secret in (secrets * (CALLS // len(secrets) + 1))[:CALLS]
    ]
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time_ns()
        for headers in requests:
            outcome = judge.authenticate(CLIENT, headers)
        best = min(best, (time.process_time_ns() - started) / CALLS)
        if not isinstance(outcome, Authenticated):
            raise TypeError("the secret was refused")
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=10_000)
    replica, keys, size = filled(parser.parse_args().keys)
    alone = nanoseconds(SharedSecret("token", TOKEN), [TOKEN])
    ring = KeyRing("token", (), replica, time.time)
    beside = nanoseconds(SharedSecret("token", TOKEN, ring), [TOKEN])
    with_key = nanoseconds(SharedSecret("token", TOKEN, ring), keys[:CALLS])
    print(f"{len(keys)} keys take {size / 1e6:.2f} MB, {size / len(keys):.0f} bytes each")
    print(f"the owner's secret, without keys       {alone:6.0f} ns")
    print(f"the owner's secret, beside these keys  {beside:6.0f} ns  {beside - alone:+5.0f} ns")
    print(f"one of these keys                      {with_key:6.0f} ns  {with_key - alone:+5.0f} ns")
    return int(size > MAX_BYTES or max(beside, with_key) - alone > MAX_NANOSECONDS)


if __name__ == "__main__":
    sys.exit(main())

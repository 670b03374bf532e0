"""The child process that serves the chat model: `python -m gateway.upstream.embedded.child`.

Reads its settings as one JSON line, serves the OpenAI-compatible HTTP of llama.cpp on loopback, prints one line when
it does, and ends with its standard input: so it never outlives its parent, whatever ends that one. Who starts it, and
again after a crash, is `chat`.
"""

import dataclasses
import json
import os
import signal
import sys
from dataclasses import dataclass, field
from typing import Any

from gateway.upstream.embedded.openmp import ensure_openmp

# Tokens read from prompts at a time. It bounds how long a long prompt holds up the answer in the other slot, and a
# cancelled request the next one, to about a second; larger batches are not faster on one core.
_BATCH = 128
# A connection that is kept alive holds one of these threads, so there must be more than a gateway's pool keeps idle.
_HTTP_THREADS = 128


@dataclass(frozen=True, slots=True)
class ChildSettings:
    """What the child is told. `slot_context` is tokens for each of the `slots` requests answered side by side."""

    model: str
    weights: str
    port: int
    threads: int
    slots: int
    slot_context: int
    api_key: str = field(repr=False)

    def to_line(self) -> bytes:
        """One line of JSON. It goes through a pipe, as arguments and environment can be read by others."""
        return json.dumps(dataclasses.asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "ChildSettings":
        """Raises ValueError or TypeError for a line that `to_line` did not make."""
        return cls(**json.loads(line))


def serve(settings: ChildSettings) -> Any:
    """Load the model and serve it for as long as the returned xllamacpp.Server lives.

    Raises RuntimeError without a reason when the file is no model or the port is taken; the runtime gives none.
    """
    import xllamacpp  # noqa: PLC0415 - 100 MB that only this process may load

    params = xllamacpp.CommonParams()
    params.model.path = settings.weights
    params.model_alias = {settings.model}
    params.offline = True
    params.n_parallel = settings.slots
    params.n_ctx = settings.slots * settings.slot_context
    params.n_batch = params.n_ubatch = _BATCH
    params.cpuparams.n_threads = settings.threads
    params.hostnames = ["127.0.0.1"]
    params.port = settings.port
    params.reuse_port = True  # the parent keeps the port reserved between two children
    params.api_keys = [settings.api_key]
    params.n_threads_http = _HTTP_THREADS
    params.cors_origins = ""
    params.cache_ram_mib = 0  # by default up to 8 GB of old prompts would be kept
    params.ui = params.endpoint_slots = params.endpoint_props = False
    params.verbosity = -1
    return xllamacpp.Server(params)


def main() -> None:
    """Serve until standard input ends."""
    # The parent may still be relaying our answers when a signal stops the whole group.
    for meant_for_the_parent in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(meant_for_the_parent, signal.SIG_IGN)
    ensure_openmp()
    # The runtime writes to the standard output as it likes; the ready line gets one of its own.
    output = os.dup(1)
    os.dup2(2, 1)
    settings = ChildSettings.from_line(sys.stdin.buffer.readline())
    server = serve(settings)
    os.write(output, f"{server.listening_address}\n".encode())
    sys.stdin.buffer.read()
    # An orderly end would wait for answers that nobody reads any more.
    os._exit(0)


if __name__ == "__main__":
    main()

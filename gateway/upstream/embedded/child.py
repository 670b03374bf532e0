"""The child process that serves the chat model: `python -m gateway.upstream.embedded.child`.

It reads its settings as one line of JSON, serves the OpenAI-compatible HTTP of llama.cpp on loopback and prints one
line when it serves. It exits when standard input closes, so it never outlives its parent. `chat` starts and restarts
it.
"""

import dataclasses
import json
import os
import signal
import sys
from dataclasses import dataclass, field
from typing import Any

# Tokens per batch of a prompt. A batch takes about a second. For this time a long prompt may delay the answer in the
# other slot, and a cancelled request the next one. Larger batches are not faster on one core.
_BATCH_TOKENS = 128
# Every keep-alive connection takes one of these threads, so there must be more than the gateway's pool keeps idle.
_HTTP_THREADS = 128


@dataclass(frozen=True, slots=True)
class ChildSettings:
    """The child's settings. `slot_context` is the context window in tokens of each of the `slots` parallel requests."""

    model: str
    weights: str
    port: int
    threads: int
    slots: int
    slot_context: int
    api_key: str = field(repr=False)

    def to_line(self) -> bytes:
        """One line of JSON, for a pipe: other users can read arguments and environment variables."""
        return json.dumps(dataclasses.asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "ChildSettings":
        """Parse a line of `to_line`. Raises ValueError or TypeError for any other line."""
        return cls(**json.loads(line))


def serve(settings: ChildSettings) -> Any:
    """Load the model and serve it as long as the returned xllamacpp.Server exists.

    Raises ImportError if the runtime or the system's OpenMP library is missing. Raises RuntimeError if the file is not
    a model or the port is in use; the runtime does not say which.
    """
    import xllamacpp  # noqa: PLC0415 - takes 100 MB, and only this process needs it

    params = xllamacpp.CommonParams()
    params.model.path = settings.weights
    params.model_alias = {settings.model}
    params.offline = True
    params.n_parallel = settings.slots
    params.n_ctx = settings.slots * settings.slot_context
    params.n_batch = params.n_ubatch = _BATCH_TOKENS
    params.cpuparams.n_threads = settings.threads
    params.hostnames = ["127.0.0.1"]
    params.port = settings.port
    params.reuse_port = True  # the parent reserves the port between two children
    params.api_keys = [settings.api_key]
    params.n_threads_http = _HTTP_THREADS
    params.cors_origins = ""
    params.cache_ram_mib = 0  # the default cache of old prompts takes up to 8 GB
    params.ui = params.endpoint_slots = params.endpoint_props = False
    params.verbosity = -1
    return xllamacpp.Server(params)


def main() -> None:
    """Serve until standard input closes."""
    # A signal to the process group must not end this process: the parent may still relay its answers.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # The runtime writes to standard output too, so it gets standard error instead, and the ready line a descriptor.
    output = os.dup(1)
    os.dup2(2, 1)
    settings = ChildSettings.from_line(sys.stdin.buffer.readline())
    server = serve(settings)
    os.write(output, f"{server.listening_address}\n".encode())
    sys.stdin.buffer.read()
    # A normal exit would wait for answers that nobody reads.
    os._exit(0)


if __name__ == "__main__":
    main()

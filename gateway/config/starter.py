"""The file that a first run writes: small, commented, and safe (a new token, and this machine only)."""

import json
import os
import secrets
import tempfile
from pathlib import Path

_TEMPLATE = """\
// Configuration of openclaw-gateway: JSON5, OpenClaw's own keys. docs/configuration.md explains each of them.
{{
  gateway: {{
    port: 18789,
    // "lan" lets other machines connect; the token is full access, so put TLS in front of it.
    bind: "loopback",
    {auth},
    http: {{
      endpoints: {{
        chatCompletions: {{ enabled: true }},
        responses: {{ enabled: true }},
      }},
    }},
  }},

  // To use another provider, for instance:
  // models: {{ providers: {{ openai: {{ apiKey: "${{OPENAI_API_KEY}}" }} }} }},

  agents: {{
    defaults: {{ model: {{ primary: {model} }} }},
    entries: {{ main: {{}} }},
  }},
}}
"""


def new_token() -> str:
    """A fresh secret of 256 bits, as 64 hexadecimal digits."""
    return secrets.token_hex(32)


def write_starter(path: Path, *, model: str, token: str | None) -> None:
    """Write the first configuration to `path`, readable by its owner only, atomically.

    Without `token` the file sets none, so that OPENCLAW_GATEWAY_TOKEN applies: a token in the file would win.

    Creates directories as needed. Raises FileExistsError instead of replacing a file.
    """
    write_private(path, _TEMPLATE.format(auth=_auth(token), model=json.dumps(model)))


def write_private(path: Path, text: str) -> None:
    """Write `text` to a new file that only its owner can read, atomically.

    Creates directories as needed. Raises FileExistsError instead of replacing a file.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # A link fails when the name exists already; a rename would replace it.
        Path(path).hardlink_to(draft)
    finally:
        Path(draft).unlink()


def _auth(token: str | None) -> str:
    if token is None:
        return '// The token is in OPENCLAW_GATEWAY_TOKEN.\n    auth: { mode: "token" }'
    return f'auth: {{ mode: "token", token: {json.dumps(token)} }}'

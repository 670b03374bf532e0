"""The OpenClaw gateway: agents behind the OpenAI-compatible HTTP API."""

from importlib import metadata

__version__ = metadata.version("openclaw-gateway")

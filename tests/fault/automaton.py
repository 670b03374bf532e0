"""A strict client of streamed chat answers: it accepts only streams with exactly one valid end."""

import json
from dataclasses import dataclass, field
from typing import Any


class Violation(AssertionError):
    """The stream broke the protocol; the message says how."""


@dataclass
class Heard:
    """An answer as the client got it: `error` is the error object of a failed one, else `finish` is the reason."""

    text: str = ""
    calls: dict[int, list[str]] = field(default_factory=dict)
    finish: str | None = None
    error: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None
    role: bool = False

    @property
    def calls_made(self) -> list[tuple[str, str]]:
        """Names and arguments."""
        return [(name, arguments) for _, name, arguments in self.calls.values()]


def listen(stream: bytes) -> Heard:
    """Read a whole stream. Raises Violation."""
    frames = stream.decode().split("\n\n")
    if frames.pop():
        raise Violation("the stream ends inside an event")
    heard, done = Heard(), False
    for frame in frames:
        if frame.startswith(":"):
            continue
        if done:
            raise Violation("something follows [DONE]")
        if not frame.startswith("data: ") or "\n" in frame:
            raise Violation(f"no event: {frame!r}")
        if frame == "data: [DONE]":
            done = True
        else:
            _hear(heard, json.loads(frame.removeprefix("data: ")))
    if not done:
        raise Violation("the stream ends without [DONE]")
    if (heard.finish is None) == (heard.error is None):
        raise Violation(f"not exactly one ending: finish {heard.finish!r}, error {heard.error!r}")
    return heard


def _hear(heard: Heard, payload: dict[str, Any]) -> None:
    if heard.error is not None:
        raise Violation("something follows the error")
    if "error" in payload:
        if heard.finish is not None:
            raise Violation("an error follows the finish")
        heard.error = payload["error"]
        return
    if payload.get("usage"):
        heard.usage = payload["usage"]
    for choice in payload["choices"]:
        if heard.finish is not None:
            raise Violation("something follows the finish")
        _add(heard, choice["delta"])
        heard.finish = choice["finish_reason"]


def _add(heard: Heard, delta: dict[str, Any]) -> None:
    if "role" in delta:
        if heard.role:
            raise Violation("a second beginning")
        heard.role = True
    heard.text += delta.get("content") or ""
    for call in delta.get("tool_calls") or ():
        if "id" in call:
            if call["index"] in heard.calls:
                raise Violation("a call begins twice")
            heard.calls[call["index"]] = [call["id"], call["function"]["name"], ""]
        heard.calls[call["index"]][2] += call["function"].get("arguments") or ""

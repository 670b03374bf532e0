"""What is stored and shown of a run: its attempts and tool calls, without prompts and answers."""

from typing import Any

import msgspec
from msgspec import Struct

from gateway.core.names import ModelRef
from gateway.observe.redact import redact_text, without_values

LEFT_OUT = "left_out"
"""The outcome of a tool call that was not run."""


class AttemptRecord(Struct, frozen=True, array_like=True):
    """One attempt, as in `Attempt`. `key` names the position of the key in the configuration."""

    ref: ModelRef
    key: str
    waited: float
    seconds: float | None
    status: int | None
    outcome: str | None
    reason: str | None

    def as_dict(self) -> dict[str, Any]:
        """As JSON. The key itself is never disclosed."""
        fields = {
            "model": str(self.ref),
            "key_id": self.key,
            "waited": round(self.waited, 4),
            "seconds": None if self.seconds is None else round(self.seconds, 4),
            "status": self.status,
            "outcome": self.outcome,
        }
        if self.reason is not None:
            fields["reason"] = redact_text(without_values(self.reason))
        return fields


class ToolUse(Struct, frozen=True):
    """One tool call of the agent. Times are seconds; `outcome` is ANSWERED, CANCELLED, LEFT_OUT or its failure. `began`
    is clock time.
    """

    tool: str
    seconds: float
    outcome: str
    began: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """As JSON, without arguments and results."""
        return {"tool": self.tool, "seconds": round(self.seconds, 4), "outcome": self.outcome}


class RunRecord(Struct, frozen=True, array_like=True):
    """A run of `agent` that took `seconds`, or has taken them so far if `outcome` is None."""

    agent: str
    outcome: str | None
    seconds: float
    attempts: list[AttemptRecord]
    tools: tuple[ToolUse, ...]

    def as_dict(self) -> dict[str, Any]:
        """As JSON; `outcome` is null while the run is active."""
        fields: dict[str, Any] = {
            "agent": self.agent,
            "outcome": self.outcome,
            "seconds": round(self.seconds, 4),
            "attempts": [attempt.as_dict() for attempt in self.attempts],
        }
        if self.tools:
            fields["tools"] = [use.as_dict() for use in self.tools]
        return fields


encode_record = msgspec.msgpack.Encoder().encode
"""A RunRecord as bytes."""
decode_record = msgspec.msgpack.Decoder(RunRecord).decode
"""A RunRecord from the bytes of `encode_record`."""

"""Agents without a workspace, and what is between them and a provider: a caller that answers as a test says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.agents.agent import Agent
from gateway.agents.prompt import Caps, Prompt
from gateway.core.names import ModelRef

PRIMARY = ModelRef("home", "big")


@pytest.fixture
def clock() -> Callable[[], float]:
    return lambda: 0.0


@pytest.fixture
def agent(clock: Callable[[], float]) -> Callable[..., Agent]:
    """An agent with some settings; `prompt` is its configured text."""

    def build(name: str = "main", prompt: str | None = None, workspace: Path | None = None, **settings: Any) -> Agent:
        chain = settings.pop("candidates", (PRIMARY,))
        return Agent(name, chain, Prompt(prompt, workspace, Caps(100, 200), clock), **settings)

    return build

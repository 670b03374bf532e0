"""A configuration file on disk, loaded as `serve` loads it, or the problems it is refused with."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.config.load import Loaded, load
from gateway.core.errors import ConfigError

Load = Callable[..., Loaded]
Refuse = Callable[..., tuple[str, ...]]


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    def from_text(text: str = "{}", env: Mapping[str, str] | None = None, **options: Any) -> Loaded:
        file = tmp_path / "openclaw.json"
        file.write_text(text, encoding="utf-8")
        return load(file, {"OPENCLAW_STATE_DIR": str(tmp_path), **(env or {})}, **options)

    return from_text


@pytest.fixture
def refused(loaded: Load) -> Refuse:
    def problems_of(text: str, env: Mapping[str, str] | None = None, **options: Any) -> tuple[str, ...]:
        with pytest.raises(ConfigError) as caught:
            loaded(text, env, **options)
        return caught.value.problems

    return problems_of

"""The gateway's Lua scripts: `.lua` files beside the modules that call them, as the limiter library's `Script`."""

from pathlib import Path

from openclaw_ratelimit import Script

__all__ = ["Script", "load_script"]


def load_script(module: str, name: str) -> Script:
    """The script in the file `name`.lua beside `module` (a module's `__file__`)."""
    return Script(Path(module).with_name(f"{name}.lua").read_text(encoding="utf-8"))

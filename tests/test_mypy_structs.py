import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(("kind", "message"), [("Turn", "Turn is a Struct"), ("ToolChoice", "")])
def test_replacing_the_fields_of_a_struct_as_if_it_were_a_dataclass_is_found_by_mypy(tmp_path, kind, message):
    code = f"import dataclasses\nfrom gateway.core.turn import {kind}\n\ndef change(value: {kind}) -> object:\n"
    (tmp_path / "code.py").write_text(f"{code}    return dataclasses.replace(value)\n", encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(tmp_path / "code.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode == 1) is bool(message), done.stdout
    assert message in done.stdout

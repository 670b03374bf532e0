import asyncio
import json
from asyncio.subprocess import PIPE

from gateway.core.child_process import child_environment, python_command


async def output_of(*command, cwd):
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, env=child_environment(), cwd=cwd)
    output, _ = await process.communicate()
    return output


async def test_a_child_gets_no_variable_that_may_hold_a_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    monkeypatch.setenv("LANG", "C.UTF-8")
    python, *_ = python_command("json")
    program = "import json, os; print(json.dumps(dict(os.environ)))"

    environment = json.loads(await output_of(python, "-c", program, cwd=tmp_path))

    assert environment["LANG"] == "C.UTF-8"
    assert "OPENAI_API_KEY" not in environment
    assert not any("sk-1" in value for value in environment.values())


async def test_a_child_imports_nothing_from_its_working_directory(tmp_path):
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "__init__.py").touch()
    (tmp_path / "json" / "tool.py").write_text("print('planted')")
    (tmp_path / "data").write_text("[1]")

    output = await output_of(*python_command("json.tool"), "--compact", "data", cwd=tmp_path)

    assert output == b"[1]\n"

import ast
import re
import runpy
from pathlib import Path

import openclaw_ratelimit

ROOT = Path(ratelimit.__file__).parent


def test_all_is_complete():
    public = {name for name, value in vars(ratelimit).items() if not name.startswith("_") and isinstance(value, type)}
    assert set(ratelimit.__all__) == public | {"FAILURES", "QUOTAS"}


def test_the_library_imports_nothing_of_the_program_around_it():
    for path in ROOT.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            assert not any(module.split(".")[0] in ("gateway", "aiohttp") for module in modules), path.name


def test_the_examples_of_the_readme_run(tmp_path):
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(examples) == 3
    for number, example in enumerate(examples):
        program = tmp_path / f"example{number}.py"
        program.write_text(example)
        runpy.run_path(str(program))

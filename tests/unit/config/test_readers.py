"""Every key of the configuration is read by the code, or declared as one without effect; never neither, never both."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config import secrets
from gateway.config.root import Config
from gateway.config.section import Section
from tests.config_readers import RECORD
from tests.unit.config.test_documentation import sections_in

ROOT = Path(__file__).parents[3]
CACHE = ROOT / ".mypy_cache" / "readers"

REFUSED = {("GatewayConfig", "mode"), ("GatewayConfig", "roles")}
"""Their one effect is that `gateway.config.rules` refuses a value."""
MOVED = {("AgentsConfig", "older_list"), ("AgentListItem", "id")}
"""Read from the file's tree, before there are models."""


@pytest.fixture(scope="module")
def reads(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str, str]]:
    """(section, field, file) of each expression in the gateway that reads a field, as mypy knows its type."""
    folder = tmp_path_factory.mktemp("readers")
    settings = folder / "mypy.ini"
    plugins = f"pydantic.mypy, {ROOT / 'tests' / 'config_readers.py'}"
    settings.write_text(f"[mypy]\nplugins = {plugins}\nignore_missing_imports = true\n", encoding="utf-8")
    for checked in CACHE.glob("*/gateway"):
        shutil.rmtree(checked)  # mypy calls the plugin for what it checks, not for what it knows; libraries it may know
    options = ["--config-file", str(settings), "--cache-dir", str(CACHE), "--no-sqlite-cache"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "gateway"],
        cwd=ROOT,
        env=os.environ | {RECORD: str(folder / "reads")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (folder / "reads").read_text(encoding="utf-8").splitlines()
    return {(section, field, file) for section, field, file in map(str.split, lines)}


def sections(model: type[Section]) -> Iterator[type[Section]]:
    yield model
    for field in model.model_fields.values():
        for _, nested in sections_in(field.annotation):
            yield from sections(nested)


def fields_with_effect(model: type[Section]) -> Iterator[tuple[type[Section], str]]:
    """The fields that must have a reader: all but those in `INERT` and what is inside them."""
    for name, field in model.model_fields.items():
        if name not in model.INERT:
            yield model, name
            for _, nested in sections_in(field.annotation):
                yield from fields_with_effect(nested)


def is_read(model: type[Section], field: str, reads: set[tuple[str, str, str]]) -> bool:
    """By its own class, or by one that it shares the field with through inheritance. Rules are not readers: they check
    a value, and do nothing with it.
    """
    related = {
        other.__name__
        for other in (*model.__mro__, *model.__subclasses__())
        if field in getattr(other, "model_fields", {})
    }
    return any(section in related and name == field and not file.endswith("rules.py") for section, name, file in reads)


def test_every_key_has_a_reader_or_is_declared_as_one_without_effect(reads):
    every = {*fields_with_effect(Config), *fields_with_effect(secrets.SecretsConfig)}
    unread = {(model.__name__, field) for model, field in every if not is_read(model, field, reads)}
    assert unread - MOVED == REFUSED


def test_a_key_that_is_refused_has_its_rule(reads):
    assert {(s, field) for s, field, file in reads if file.endswith("config/rules.py")} >= REFUSED


def test_no_key_with_a_reader_is_declared_as_one_without_effect(reads):
    inert = {(model, name) for model in sections(Config) for name in model.INERT}
    assert inert
    assert {(model.__name__, name) for model, name in inert if is_read(model, name, reads)} == set()

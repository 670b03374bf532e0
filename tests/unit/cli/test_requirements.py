import re

from gateway.cli.requirements import missing_requirement


def test_installed_extensions_are_enough():
    assert missing_requirement() is None


def test_absent_extension_is_named_with_the_command_that_repairs_it():
    problem = missing_requirement(lambda name: None if name == "aiohttp._http_writer" else name)

    assert problem is not None
    assert re.search(r"aiohttp\._http_writer not found.*pip install --force-reinstall", problem)
    assert "_http_parser" not in problem


def test_absent_aiohttp_and_absent_extensions_are_different_problems():
    problem = missing_requirement(lambda _name: None)

    assert problem is not None
    assert problem.startswith("aiohttp is not installed")

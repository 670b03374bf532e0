"""A reload validates everything first, and its result names what it found."""

import json

import pytest

from gateway.core.errors import ConfigError
from gateway.reloader import Reloader, read_first
from gateway.validation import validated
from gateway.watch import look
from tests.certificates import Authority

TREE = {
    "gateway": {"auth": {"token": "token-of-the-tests"}},
    "agents": {"defaults": {"model": {"primary": "p/m"}}, "entries": {"main": {}}},
    "models": {"providers": {"p": {"baseUrl": "http://127.0.0.1:9/v1", "apiKey": "k", "models": [{"id": "m"}]}}},
}


class Setup:
    def __init__(self, folder):
        self.file = folder / "openclaw.json"
        self.env = {"OPENCLAW_STATE_DIR": str(folder)}
        self.applied = []
        self.refuses = None
        self.write(TREE)
        read = read_first(self.load, {self.file, folder / ".env"})
        self.reloader = Reloader(read, self.load, self.apply, clock=lambda: 1000.0)

    def load(self, files):
        return validated(self.file, self.env, files=files)

    async def apply(self, loaded, generation):
        if self.refuses is not None:
            raise ConfigError((self.refuses,))
        self.applied.append((loaded.config, generation))

    def write(self, tree):
        self.file.write_text(json.dumps(tree), encoding="utf-8")


@pytest.fixture
def setup(tmp_path):
    return Setup(tmp_path)


def changed(**agents):
    return TREE | {"agents": TREE["agents"] | agents}


async def test_an_accepted_change_is_a_new_generation(setup):
    setup.write(changed(entries={"main": {}, "other": {}}))
    result = await setup.reloader.reload("file")
    assert (result.status, result.trigger, result.problems, result.needs_restart) == ("accepted", "file", (), ())
    ((config, generation),) = setup.applied
    assert (set(config.agents.entries), generation) == ({"main", "other"}, 2)
    assert (setup.reloader.status.generation, setup.reloader.status.last) == (2, result)


async def test_what_validation_or_a_worker_refuses_stays_out_and_is_named(setup):
    setup.write(changed(default="nobody"))
    result = await setup.reloader.reload("file")
    assert result.status == "refused"
    assert "agents.default" in result.problems[0]
    setup.write(changed(entries={"main": {}, "other": {}}))
    setup.refuses = "a worker says no"
    result = await setup.reloader.reload("signal")
    assert (result.status, result.problems) == ("refused", ("a worker says no",))
    assert (setup.applied, setup.reloader.status.generation) == ([], 1)


async def test_a_missing_file_and_an_empty_one_are_refused(setup):
    setup.file.unlink()
    result = await setup.reloader.reload("file")
    assert result.problems == (f"{setup.file}: can't be read (No such file or directory)",)
    setup.file.touch()
    result = await setup.reloader.reload("file")
    assert result.problems == (f"{setup.file}: is empty now; write it again",)


async def test_a_touched_file_does_not_hide_the_last_result_and_a_restored_one_ends_a_refusal(setup):
    setup.write(changed(entries={"main": {}, "other": {}}))
    accepted = await setup.reloader.reload("file")
    setup.file.touch()
    assert (await setup.reloader.reload("file")).status == "unchanged"
    assert setup.reloader.status.last == accepted
    setup.file.write_text("{", encoding="utf-8")
    assert (await setup.reloader.reload("file")).status == "refused"
    setup.write(changed(entries={"main": {}, "other": {}}))
    assert (await setup.reloader.reload("file")).status == "unchanged"
    assert setup.reloader.status.last.status == "unchanged"


async def test_included_files_secret_files_and_the_variables_of_the_state_directory_are_watched(setup, tmp_path):
    (tmp_path / "part.json5").write_text('{ main: { systemPrompt: "${GREETING}" } }', encoding="utf-8")
    (tmp_path / ".env").write_text("GREETING=hello", encoding="utf-8")
    (tmp_path / "secret").write_text("first", encoding="utf-8")
    tree = changed(entries={"$include": "./part.json5"})
    tree["secrets"] = {"providers": {"s": {"source": "file", "path": "secret", "mode": "singleValue"}}}
    tree["models"] = json.loads(json.dumps(TREE["models"]))
    tree["models"]["providers"]["p"]["apiKey"] = {"source": "file", "provider": "s", "id": "value"}
    setup.write(tree)
    assert (await setup.reloader.reload("file")).status == "accepted"
    assert {file.name for file in setup.reloader.files} == {"openclaw.json", ".env", "part.json5", "secret"}
    (tmp_path / ".env").write_text("GREETING=bye", encoding="utf-8")
    assert (await setup.reloader.reload("file")).status == "accepted"
    (tmp_path / "secret").write_text("second", encoding="utf-8")
    assert (await setup.reloader.reload("file")).status == "accepted"
    config = setup.applied[-1][0]
    assert config.agents.entries["main"].system_prompt == "bye"
    assert config.models.providers["p"].api_key.get_secret_value() == "second"
    (tmp_path / ".env").unlink()
    result = await setup.reloader.reload("file")
    assert "GREETING is not set" in result.problems[0]


async def test_a_new_certificate_is_a_change_although_the_configuration_is_equal_and_a_bad_one_is_named(
    setup, tmp_path
):
    authority = Authority(tmp_path / "authority")
    served = authority.issue("server")
    tls = {"enabled": True, "certPath": str(served.certificate), "keyPath": str(served.key)}
    setup.write(TREE | {"gateway": TREE["gateway"] | {"tls": tls}})
    read = read_first(setup.load, {setup.file})
    setup.reloader = Reloader(read, setup.load, setup.apply, clock=lambda: 1000.0)
    assert (await setup.reloader.reload("file")).status == "unchanged"
    authority.issue("server")
    assert (await setup.reloader.reload("file")).status == "accepted"
    served.certificate.write_bytes(authority.issue("another").certificate.read_bytes())
    result = await setup.reloader.reload("file")
    assert result.status == "refused"
    assert str(served.certificate) in result.problems[0]


async def test_a_file_that_changes_while_it_is_read_is_read_again(setup):
    load, reads = setup.load, []

    def interrupted(files):
        reads.append(load(files))
        if len(reads) == 1:
            setup.write(changed(entries={"main": {}, "second": {}, "third": {}}))
        return reads[-1]

    setup.reloader._load = interrupted
    setup.write(changed(entries={"main": {}, "second": {}}))
    assert (await setup.reloader.reload("file")).status == "accepted"
    assert "third" in setup.applied[-1][0].agents.entries
    assert len(reads) == 2


async def test_an_error_that_nobody_foresaw_leaves_everything_as_it_is(setup):
    async def breaks(_loaded, _generation):
        raise ZeroDivisionError

    setup.reloader._apply = breaks
    setup.write(changed(entries={"main": {}, "other": {}}))
    result = await setup.reloader.reload("file")
    assert (result.status, result.problems) == ("refused", ("internal error: ZeroDivisionError",))
    assert setup.reloader.status.generation == 1


async def test_a_file_whose_loading_fails_unexpectedly_is_not_loaded_again_until_it_changes(setup):
    def load(files):
        files.add(setup.file)
        raise RuntimeError("a bug")

    setup.reloader._load = load
    setup.write(changed(entries={"main": {}, "other": {}}))
    result = await setup.reloader.reload("file")
    assert (result.status, result.problems) == ("refused", ("internal error: RuntimeError",))
    assert setup.reloader.files[setup.file] == look([setup.file])[setup.file]

import json

import pytest

from gateway.cli.main import main


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_the_list_of_providers_shows_no_secret_of_their_urls(tmp_path, capsys, options):
    url = "http://user:s3cret@host.example:8080/v1?key=s3cret"
    file = tmp_path / "openclaw.json"
    providers = {"own": {"baseUrl": url, "apiKey": "s3cret", "models": [{"id": "m"}]}}
    agents = {"defaults": {"model": {"primary": "own/m"}}}
    file.write_text(json.dumps({"models": {"mode": "replace", "providers": providers}, "agents": agents}))
    assert main(["models", "--config", str(file), *options]) == 0
    output = capsys.readouterr().out
    assert "http://host.example:8080/v1" in output
    assert "s3cret" not in output

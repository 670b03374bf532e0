"""What is asked of a provider of each wire format, and how its list is read."""

import pytest

from tests.unit.doctor.conftest import KEY

CALLS = {
    "openai-completions": ("/v1", "/v1/models"),
    "openai-responses": ("/v1", "/v1/models"),
    "anthropic-messages": ("", "/v1/models?limit=1000"),
    "google-generative-ai": ("/v1beta", "/v1beta/models?pageSize=1000"),
    "ollama": ("", "/api/tags"),
}
LISTS = {
    "OpenAI": {"object": "list", "data": [{"id": "model-a"}]},
    "Google": {"models": [{"name": "models/model-a"}]},
    "Ollama": {"models": [{"name": "model-a:latest", "model": "model-a:latest"}]},
    "a bare list": [{"id": "model-a"}],
}


@pytest.mark.parametrize("api", CALLS)
async def test_each_format_is_asked_for_its_list_and_for_nothing_else(healthy, api):
    base, path = CALLS[api]
    url = healthy.provider.url.removesuffix("/v1") + base
    healthy.put("models.providers.own", {"baseUrl": url, "apiKey": "${OWN_KEY}", "api": api})
    assert await healthy.findings() == []
    ((method, asked, _),) = healthy.provider.asked
    assert (method, asked) == ("GET", path)


@pytest.mark.parametrize("answer", LISTS)
async def test_every_form_of_a_list_is_read(healthy, answer):
    healthy.provider.answer = LISTS[answer]
    assert await healthy.findings() == []
    healthy.put("agents.defaults.model", "own/model-c")
    assert [finding.id for finding in await healthy.findings()] == ["model.unknown"]


@pytest.mark.parametrize("answer", [{"data": 1}, {}, [], "text", {"data": [1, {"id": 2}, {"name": None}]}])
async def test_an_answer_that_is_no_list_is_reported_and_ends_nothing(healthy, answer):
    healthy.provider.answer = answer
    (finding,) = await healthy.findings()
    assert finding.id in {"provider.no-list", "model.unknown"}
    assert KEY not in str(finding.as_dict())

from dataclasses import replace

import pytest

from gateway.core.errors import BadRequest, NotFound, Unavailable
from gateway.core.names import ModelRef
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.runs.embed import embed, embedding_model
from gateway.wire.contract import EmbeddingReply, EmbeddingRequest

OWN = ModelRef("home", "vectors")
REQUEST = EmbeddingRequest("openclaw", ("a",))
REPLY = EmbeddingReply([b"[1]"], 1, 1)


class FakeEmbedder:
    def __init__(self, failures=0):
        self.asked = []
        self.failures = failures

    async def embed(self, provider, model, request, _end, *, fresh=False):
        assert fresh is bool(self.asked)
        self.asked.append((provider.id, model.id, request))
        if len(self.asked) <= self.failures:
            raise UpstreamError(UpstreamKind.OVERLOADED, "busy")
        return REPLY


@pytest.mark.parametrize(
    ("override", "ref"),
    [
        (None, OWN),
        ("other", ModelRef("home", "other")),
        ("home/other", ModelRef("home", "other")),
        ("HOME/other", ModelRef("home", "other")),
    ],
)
def test_the_agents_model_embeds_or_another_one_of_its_provider(agent, override, ref):
    assert embedding_model(agent(embedding=OWN), override) == ref


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("elsewhere/vectors", "embeds with the provider 'home' only"),
        ("home/", "Unsupported embedding model reference."),
        ("///", "Unsupported embedding model reference."),
    ],
)
def test_other_overrides_are_refused(agent, override, message):
    with pytest.raises(BadRequest, match=message) as caught:
        embedding_model(agent(embedding=OWN), override)
    assert caught.value.param == "x-openclaw-model"


def test_an_agent_without_an_embedding_model_says_what_to_set(agent):
    with pytest.raises(Unavailable, match=r"memory\.search\.provider"):
        embedding_model(agent(), None)


async def test_a_provider_that_is_not_there_is_named(agent, dispatch):
    shared = dispatch()
    with pytest.raises(NotFound, match="home/vectors"):
        await embed(agent(embedding=OWN), REQUEST, None, {}, shared, trail=shared.trail("main"))


async def test_a_passing_failure_is_retried(agent, dispatch):
    embedder, shared = FakeEmbedder(failures=2), dispatch()
    trail = shared.trail("main")
    assert await embed(agent(embedding=OWN), REQUEST, None, {"home": embedder}, shared, trail=trail) is REPLY
    assert [one["outcome"] for one in trail.as_dict()["attempts"]] == ["overloaded", "overloaded", "answered"]


@pytest.mark.parametrize(("own", "asked", "sent"), [(None, None, None), (64, None, 64), (64, 32, 32), (None, 32, 32)])
async def test_the_callers_dimensions_win_over_the_agents(agent, dispatch, own, asked, sent):
    embedder, shared = FakeEmbedder(), dispatch()
    request = replace(REQUEST, dimensions=asked)
    settings, trail = agent(embedding=OWN, embedding_dimensions=own), shared.trail("main")
    assert await embed(settings, request, None, {"home": embedder}, shared, trail=trail) is REPLY
    assert embedder.asked == [("home", "vectors", replace(REQUEST, dimensions=sent))]
    assert trail.answered == OWN

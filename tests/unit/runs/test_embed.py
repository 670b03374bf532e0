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


async def test_a_provider_that_is_not_there_is_named(agent, run_context):
    shared = run_context()
    with pytest.raises(NotFound, match="home/vectors"):
        await embed(agent(embedding=OWN), REQUEST, None, {}, shared, trace=shared.new_trace("main"))


async def test_a_passing_failure_is_retried(agent, run_context):
    embedder, shared = FakeEmbedder(failures=2), run_context()
    trace = shared.new_trace("main")
    assert await embed(agent(embedding=OWN), REQUEST, None, {"home": embedder}, shared, trace=trace) is REPLY
    assert [one["outcome"] for one in trace.as_dict()["attempts"]] == ["overloaded", "overloaded", "answered"]


@pytest.mark.parametrize(("own", "asked", "sent"), [(None, None, None), (64, None, 64), (64, 32, 32), (None, 32, 32)])
async def test_the_callers_dimensions_win_over_the_agents(agent, run_context, own, asked, sent):
    embedder, shared = FakeEmbedder(), run_context()
    request = replace(REQUEST, dimensions=asked)
    settings, trace = agent(embedding=OWN, embedding_dimensions=own), shared.new_trace("main")
    assert await embed(settings, request, None, {"home": embedder}, shared, trace=trace) is REPLY
    assert embedder.asked == [("home", "vectors", replace(REQUEST, dimensions=sent))]
    assert trace.answered == OWN

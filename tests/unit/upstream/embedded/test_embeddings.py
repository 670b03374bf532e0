import asyncio
import math
import os

import pytest

from gateway.core.errors import BadRequest
from gateway.upstream.embedded.embeddings import EmbeddedEmbeddings
from gateway.upstream.embedded.models import MODEL


@pytest.fixture
async def embeddings():
    model = EmbeddedEmbeddings()
    yield model
    await model.close()


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


async def test_each_text_gets_a_vector_of_length_one_and_counts_its_tokens(embeddings):
    both = await embeddings.embed(["hello world", "a rather longer sentence about tokens"])
    one = await embeddings.embed(["hello world"])

    assert [len(v) for v in both.vectors] == [MODEL.dimensions] * 2
    assert all(math.isclose(cosine(v, v), 1, rel_tol=1e-5) for v in both.vectors)
    assert both.tokens > one.tokens > 0


async def test_same_text_gives_the_same_vector_alone_and_among_others(embeddings):
    alone = await embeddings.embed(["hello world"])
    among = await embeddings.embed(["something else", "hello world"])

    assert among.vectors[1] == alone.vectors[0]


async def test_related_texts_are_nearer_than_unrelated_ones(embeddings):
    question, answer, other = (
        await embeddings.embed(["Where is the cat?", "The cat sat on the mat.", "Quarterly revenue fell."])
    ).vectors

    assert cosine(question, answer) > cosine(question, other)


async def test_fewer_dimensions_are_the_first_ones_brought_back_to_length_one(embeddings):
    whole = (await embeddings.embed(["hello world"])).vectors[0]
    short = (await embeddings.embed(["hello world"], 64)).vectors[0]

    length = math.sqrt(cosine(whole[:64], whole[:64]))
    assert short == pytest.approx([x / length for x in whole[:64]], abs=1e-6)


@pytest.mark.parametrize("dimensions", [385, 0, -1])
async def test_dimensions_that_the_model_lacks_are_refused_by_name(embeddings, dimensions):
    with pytest.raises(BadRequest, match=f"between 1 and 384 .* got {dimensions}") as caught:
        await embeddings.embed(["hello"], dimensions)

    assert caught.value.param == "dimensions"


async def test_too_long_a_text_is_refused_with_its_index_and_size(embeddings):
    with pytest.raises(BadRequest, match=r"input\[1\] has \d+ tokens; .* takes 8192") as caught:
        await embeddings.embed(["short", "word " * 9000])

    assert caught.value.param == "input"


async def test_zero_byte_and_half_a_surrogate_pair_hide_nothing(embeddings):
    cut, odd, whole = (await embeddings.embed(["hello", "hello\0world \ud83d", "hello world ?"])).vectors

    assert odd == whole != cut


async def test_nothing_to_embed_is_an_empty_answer(embeddings):
    done = await embeddings.embed([])

    assert (done.vectors, done.tokens) == ([], 0)


async def test_a_cancelled_call_drops_its_remaining_texts(embeddings):
    await embeddings.embed(["load the model"])
    endless = asyncio.create_task(embeddings.embed(["word " * 50] * 10_000))
    await embeddings.embed(["this one waits its turn in between"])

    endless.cancel()

    with pytest.raises(asyncio.CancelledError):
        await endless
    assert len((await embeddings.embed(["hello"])).vectors) == 1


async def test_environment_for_child_processes_is_as_before(embeddings):
    before = dict(os.environ)

    await embeddings.embed(["hello"])

    assert dict(os.environ) == before

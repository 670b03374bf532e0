import pytest

from gateway.core.errors import BadRequest, NotFound
from gateway.core.message import Image, Message, Text
from gateway.core.names import ModelRef
from gateway.core.turn import ToolChoice, ToolSpec, Turn
from gateway.runs.candidates import candidates_for
from gateway.upstream.provider import Provider
from gateway.wire.model import ModelSpec

A, B = ModelRef("p", "a"), ModelRef("p", "b")
TOOL = (ToolSpec("f"),)
TEXT = (Text("hi"),)
PICTURE = Image("data:image/png;base64,AA==")
BLIND = ModelSpec("a", images=False)
HANDLESS = ModelSpec("a", tools=False)


def providers(**models):
    """A provider `p` whose models have their own rows or the default one."""
    return {"p": Provider("p", "http://p/v1", models=models)}


def turn(*, parts=TEXT, **fields):
    return Turn("openclaw", (Message("user", parts),), **fields)


def refs(asked, chain=(A, B), known=None):
    return [candidate.ref for candidate in candidates_for(asked, chain, known or providers())]


def test_the_chain_is_asked_in_its_order():
    assert refs(turn()) == [A, B]


def test_a_model_has_a_candidate_for_each_key_beginning_with_another_one_each_time():
    others = tuple(Provider("p", "http://p/v1", key_id=f"apiKeys.{index}") for index in range(2))
    known = {"p": Provider("p", "http://p/v1", others=others)}
    orders = [[one.provider.key_id for one in candidates_for(turn(), (A, B), known)] for _ in range(2)]
    assert orders[0] == ["apiKey", "apiKeys.0", "apiKeys.1", "apiKeys.0", "apiKeys.1", "apiKey"]
    assert orders[1][:3] == ["apiKeys.1", "apiKey", "apiKeys.0"]


def test_the_unit_of_a_cooldown_has_address_credential_and_model_but_no_key():
    def unit(**row):
        row = {"base_url": "http://p/v1", "headers": {"Authorization": "Bearer sk-secret"}} | row
        return candidates_for(turn(), (A,), {"p": Provider("p", **row)})[0].unit

    assert unit().startswith("http://p/v1#")
    assert unit().endswith(" a")
    assert "secret" not in unit()
    assert unit() == unit(key_id="apiKeys.0"), "the same in an instance whose configuration is arranged differently"
    assert unit() != unit(headers={"Authorization": "Bearer sk-other"})
    assert unit() != unit(base_url="http://q/v1")
    assert "password" not in unit(base_url="http://user:password@p/v1")


def test_an_unknown_provider_is_skipped_for_a_known_one():
    assert refs(turn(), (ModelRef("ghost", "x"), B)) == [B]


def test_an_unknown_provider_alone_is_named():
    with pytest.raises(NotFound, match=r"Unknown model: ghost/x\. .*'ghost'"):
        refs(turn(), (ModelRef("ghost", "x"),))


@pytest.mark.parametrize(
    ("row", "asked", "code"),
    [
        (BLIND, turn(parts=(PICTURE,)), "images_unsupported"),
        (HANDLESS, turn(tools=TOOL), "tools_unsupported"),
        (HANDLESS, turn(tools=TOOL, tool_choice=ToolChoice("required")), "tools_unsupported"),
    ],
)
def test_a_model_that_cannot_take_the_turn_is_no_candidate(row, asked, code):
    assert refs(asked, known=providers(a=row)) == [B]
    with pytest.raises(BadRequest) as caught:
        refs(asked, (A,), providers(a=row))
    assert caught.value.code == code
    assert "p/a" in caught.value.message


@pytest.mark.parametrize(
    ("row", "asked"),
    [
        (BLIND, turn()),
        (BLIND, turn(tools=TOOL)),
        (HANDLESS, turn(parts=(PICTURE,))),
        (HANDLESS, turn(tools=TOOL, tool_choice=ToolChoice("none"))),
        (ModelSpec("a"), turn(parts=(PICTURE,), tools=TOOL)),
    ],
)
def test_a_model_that_can_take_the_turn_is_a_candidate(row, asked):
    assert refs(asked, known=providers(a=row)) == [A, B]


def test_a_model_with_a_row_of_its_own_is_asked_by_that_row_and_its_keys():
    own = Provider("p", "http://elsewhere/v1", others=(Provider("p", "http://elsewhere/v1", key_id="apiKeys.0"),))
    known = {"p": Provider("p", "http://p/v1", model_rows={"a": own})}
    assert [(one.ref, one.provider.base_url) for one in candidates_for(turn(), (A, B), known)] == [
        (A, "http://elsewhere/v1"),
        (A, "http://elsewhere/v1"),
        (B, "http://p/v1"),
    ]


def test_a_model_that_a_closed_provider_does_not_have_is_not_found():
    known = {"p": Provider("p", "http://p/v1", models={"b": ModelSpec("b")}, only_listed=True)}
    with pytest.raises(NotFound, match=r"Unknown model: p/a\. The provider 'p' has only: p/b\.") as caught:
        refs(turn(), (A,), known)
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")
    assert refs(turn(), (A, B), known) == [B]

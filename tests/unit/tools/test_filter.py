import pytest

from gateway.tools.filter import ToolFilter


@pytest.mark.parametrize(
    ("allow", "deny", "name", "passes"),
    [
        ((), (), "a__b", True),
        (("a__*",), (), "a__b", True),
        (("a__*",), (), "b__a__", False),
        (("A__B",), (), "a__b", True),
        ((), ("*__b",), "a__b", False),
        (("a__b",), ("a__*",), "a__b", False),
        (("a.*",), (), "axx", False),
        (("[a]__b",), (), "a__b", False),
    ],
)
def test_deny_wins_and_an_empty_allow_allows_everything(allow, deny, name, passes):
    assert ToolFilter(allow, deny).passes(name) is passes

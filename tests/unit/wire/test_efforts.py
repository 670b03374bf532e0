import pytest

from gateway.wire.efforts import nearest_effort


@pytest.mark.parametrize(
    ("effort", "supported", "nearest"),
    [
        ("low", ("low", "high"), "low"),
        ("medium", ("low", "high"), "high"),  # the higher of two that are as near
        ("minimal", ("medium", "high"), "medium"),
        ("max", ("low", "medium"), "medium"),
        ("dynamic", ("low",), "dynamic"),
        ("low", (), "low"),
        ("low", ("custom",), "low"),
    ],
)
def test_an_effort_becomes_the_nearest_one_that_the_model_knows(effort, supported, nearest):
    assert nearest_effort(effort, supported) == nearest

from gateway.core.tracebacks import drop_tracebacks


def failed():
    try:
        {}["a key"]
    except KeyError as inner:
        error = ValueError("outer")
        error.__cause__ = inner
    try:
        raise error
    except ValueError as outer:
        return outer


def test_the_causes_and_contexts_lose_their_tracebacks_too():
    error = failed()
    assert error.__traceback__ is not None
    assert error.__cause__.__traceback__ is not None
    drop_tracebacks(error)
    assert error.__traceback__ is None
    assert error.__cause__.__traceback__ is None
    assert repr(error.__cause__) == "KeyError('a key')"


def test_the_members_of_a_group_lose_their_tracebacks():
    group = ExceptionGroup("several", [failed(), failed()])
    drop_tracebacks(group)
    assert [one.__traceback__ for one in group.exceptions] == [None, None]


def test_exceptions_that_refer_to_each_other_are_no_endless_loop():
    first, second = failed(), failed()
    first.__context__, second.__context__ = second, first
    drop_tracebacks(first)
    assert second.__traceback__ is None

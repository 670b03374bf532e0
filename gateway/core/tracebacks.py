"""Frees the frames that a handled exception holds.

A traceback refers to the frames that the exception passed, and so to their local variables: the body of the request,
its turn, the body for the provider. A frame that has stored the exception in a variable closes a cycle, which stays
until the garbage collector finds it, and the collector runs rarely. So the code that turns an exception into a response
or a value, and does not raise it again, calls `drop_tracebacks`.
"""


def drop_tracebacks(error: BaseException) -> None:
    """Drop the tracebacks of an exception, of its causes and contexts, and of the members of groups."""
    error.__traceback__ = None
    if error.__cause__ is None and error.__context__ is None and not isinstance(error, BaseExceptionGroup):
        return  # a refusal, nearly always
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = None
        pending += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            pending += one.exceptions

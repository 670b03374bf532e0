"""When something that many requests share is no longer in use."""


class Lifetime:
    """Referenced by everything that uses one shared thing, so that it dies with the last of them (`weakref.finalize`).

    Requests hold it through what they use anyway: counting them would be work for each.
    """

    __slots__ = ("__weakref__",)

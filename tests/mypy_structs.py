"""A mypy plugin: `dataclasses.replace` of a `msgspec.Struct`, which fails at run time only, is an error."""

from collections.abc import Callable

from mypy.plugin import FunctionContext, Plugin
from mypy.types import Instance, Type, get_proper_type


class Structs(Plugin):
    """Looks at every call of `dataclasses.replace`."""

    def get_function_hook(self, fullname: str) -> Callable[[FunctionContext], Type] | None:
        """See Plugin."""
        return _checked if fullname == "dataclasses.replace" else None


def _checked(context: FunctionContext) -> Type:
    for kind in context.arg_types[0]:
        replaced = get_proper_type(kind)
        if isinstance(replaced, Instance) and replaced.type.has_base("msgspec.Struct"):
            context.api.fail(f"{replaced.type.name} is a Struct: use msgspec.structs.replace", context.context)
    return context.default_return_type


def plugin(_version: str) -> type[Plugin]:
    """Called by mypy."""
    return Structs

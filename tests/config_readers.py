"""A mypy plugin that records which fields of the configuration the code reads, by type and not by name.

It appends lines `Section field module` to the file named by the environment variable CONFIG_READERS.
"""

import os
from collections.abc import Callable
from pathlib import Path

from mypy.nodes import MemberExpr
from mypy.plugin import AttributeContext, Plugin
from mypy.types import Type

RECORD = "CONFIG_READERS"


class ReaderPlugin(Plugin):
    """Sees every access to an attribute whose owner's type is known."""

    def get_attribute_hook(self, fullname: str) -> Callable[[AttributeContext], Type] | None:
        """Record the attributes of classes in `gateway.config`."""
        if not fullname.startswith("gateway.config."):
            return None
        owner, _, name = fullname.rpartition(".")

        def record(context: AttributeContext) -> Type:
            if not isinstance(context.context, MemberExpr):
                return context.default_attr_type  # the definition in the class itself
            line = f"{owner.rpartition('.')[2]} {name} {context.api.path}\n"
            with Path(os.environ[RECORD]).open("a", encoding="utf-8") as file:
                file.write(line)
            return context.default_attr_type

        return record


def plugin(_version: str) -> type[Plugin]:
    """The entry point that mypy calls."""
    return ReaderPlugin

"""Parses Python for the tests that read code."""

import ast
import gc


def syntax_tree(source: str) -> ast.Module:
    """As `ast.parse`, without a garbage collection meanwhile.

    A collection may run code that parses too, such as the formatting of a traceback. CPython 3.11 then raises
    SystemError, "AST constructor recursion depth mismatch".
    """
    gc.disable()
    try:
        return ast.parse(source)
    finally:
        gc.enable()

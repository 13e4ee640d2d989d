"""Which statements of the core a test runs.

The functions get code that says so for each of their statements, and their own code back afterwards. A trace function
would be called for every line of the tests and of Hypothesis too, and cost twice the tests' own time.
"""

from __future__ import annotations

import ast
from pathlib import Path
from types import CodeType, FunctionType

from mutation.swapping import codes_in

MARK = "_mutation_mark_"


class Marking(ast.NodeTransformer):
    """Puts a mark before every statement in functions."""

    def __init__(self) -> None:
        self._depth = 0

    def visit(self, node: ast.AST) -> ast.AST:
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        self._depth += is_function
        self.generic_visit(node)
        if self._depth:
            for field in ("body", "orelse", "finalbody"):
                statements = getattr(node, field, None)
                if isinstance(statements, list) and statements and isinstance(statements[0], ast.stmt):
                    setattr(node, field, [one for statement in statements for one in (mark(statement), statement)])
        self._depth -= is_function
        return node


def mark(statement: ast.stmt) -> ast.stmt:
    call = ast.Call(ast.Name(MARK, ast.Load()), [ast.Constant(statement.lineno)], [])
    return ast.copy_location(ast.Expr(call), statement)


class Coverage:
    """The first lines of the statements that ran since it was last asked, by file."""

    def __init__(self, root: Path, live: dict[tuple[str, str], list[FunctionType]]) -> None:
        self._seen: dict[str, set[int]] = {path: set() for path, _ in live}
        self._own: list[tuple[FunctionType, CodeType]] = []
        for path, seen in self._seen.items():
            tree = ast.parse((root / path).read_bytes())
            Marking().visit(tree)
            for code in codes_in(compile(ast.fix_missing_locations(tree), str(root / path), "exec")):
                for function in live.get((path, code.co_qualname), ()):
                    if function.__code__.co_firstlineno == code.co_firstlineno:
                        self._own.append((function, function.__code__))
                        function.__code__ = code
                        function.__globals__[MARK] = seen.add

    def take(self) -> dict[str, set[int]]:
        taken = {path: set(seen) for path, seen in self._seen.items() if seen}
        for seen in self._seen.values():
            seen.clear()
        return taken

    def remove(self) -> None:
        """Give the functions their own code back."""
        for function, code in self._own:
            function.__code__ = code
            function.__globals__.pop(MARK, None)

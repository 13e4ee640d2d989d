"""Put a mutant's code into the functions that a process has already imported.

A function keeps its identity, so that tables, properties and bound methods that hold it run the mutated code too, and
nothing is imported anew. What ran at import time has run: for a function that only builds a table, `import_anew` forgets
every module of the project and lets the mutated file be read at the next import.
"""

from __future__ import annotations

import ast
import gc
import importlib.abc
import sys
from collections.abc import Iterator
from functools import _lru_cache_wrapper
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

CACHES_OF = ("agent.", "tests.")


class NotThere(Exception):
    """No function of this process has the code of the mutant."""


class Functions:
    """The functions of the files to mutate, as this process has them."""

    def __init__(self, root: Path, paths: set[str]) -> None:
        wanted = {str(root / path): path for path in paths}
        self.sources: dict[str, bytes] = {path: (root / path).read_bytes() for path in paths}
        self._trees = {path: ast.parse(source) for path, source in self.sources.items()}
        self.live: dict[tuple[str, str], list[FunctionType]] = {}
        self._caches: list[Any] = []
        for one in gc.get_objects():
            if isinstance(one, FunctionType):
                path = wanted.get(one.__code__.co_filename)
                if path is not None:
                    self.live.setdefault((path, one.__code__.co_qualname), []).append(one)
            elif isinstance(one, _lru_cache_wrapper) and str(one.__module__).startswith(CACHES_OF):
                self._caches.append(one)

    def put(self, mutant: dict[str, Any]) -> None:
        """Let the functions of this process run the mutated code; raises NotThere."""
        path, name = mutant["path"], mutant["function"]
        mutated = self.mutated(mutant)
        live = self.live.get((path, name), [])
        codes = [code for code in codes_in(compile(mutated, path, "exec")) if code.co_qualname == name]
        if not live or not codes:
            raise NotThere(name)
        codes.sort(key=lambda code: code.co_firstlineno)
        before = sorted({one.__code__.co_firstlineno for one in live})
        for function in live:
            # A property and its setter have one name: the order in the file tells them apart.
            function.__code__ = codes[min(before.index(function.__code__.co_firstlineno), len(codes) - 1)]
        self._put_defaults(live[0], name, self._trees[path], ast.parse(mutated))
        for cache in self._caches:
            cache.cache_clear()

    def mutated(self, mutant: dict[str, Any]) -> bytes:
        """The whole file with the mutant in it; raises NotThere where the file is not the one the mutant was made of."""
        source: bytes = self.sources[mutant["path"]]
        if source[mutant["start"] : mutant["end"]] != mutant["old"].encode():
            raise NotThere(mutant["path"])
        new: bytes = mutant["new"].encode()
        return source[: mutant["start"]] + new + source[mutant["end"] :]

    @staticmethod
    def _put_defaults(function: FunctionType, name: str, before: ast.Module, after: ast.Module) -> None:
        old, new = arguments_of(before, name), arguments_of(after, name)
        if old is None or new is None:
            return
        for at, (one, other) in enumerate(zip(old.defaults, new.defaults, strict=True)):
            if ast.dump(one) != ast.dump(other):
                values = list(function.__defaults__ or ())
                values[at] = ast.literal_eval(other)
                function.__defaults__ = tuple(values)
        for argument, was, now in zip(old.kwonlyargs, old.kw_defaults, new.kw_defaults, strict=True):
            if was is not None and now is not None and ast.dump(was) != ast.dump(now):
                function.__kwdefaults__ = {**(function.__kwdefaults__ or {}), argument.arg: ast.literal_eval(now)}


class OneFile(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Gives the mutated source of one module."""

    def __init__(self, name: str, path: str, source: bytes) -> None:
        self._name, self._path, self._source = name, path, source

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, self, origin=self._path) if name == self._name else None

    def get_source(self, fullname: str) -> str:
        return self._source.decode()

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = self._path
        exec(compile(self._source, self._path, "exec"), module.__dict__)


def import_anew(root: Path, path: str, source: bytes) -> None:
    """Forget the project's modules, and have one of them read with this source."""
    for name in [name for name in sys.modules if f"{name}.".startswith(CACHES_OF)]:
        del sys.modules[name]
    sys.meta_path.insert(0, OneFile(path.removesuffix(".py").replace("/", "."), str(root / path), source))


def codes_in(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from codes_in(constant)


def arguments_of(tree: ast.Module, name: str) -> ast.arguments | None:
    """The parameters of the function of this qualified name."""
    scope: list[ast.stmt] = tree.body
    *classes, function = name.split(".")
    for wanted in classes:
        scope = next((one.body for one in scope if isinstance(one, ast.ClassDef) and one.name == wanted), [])
    return next((one.args for one in scope if isinstance(one, ast.FunctionDef) and one.name == function), None)

"""Write down every mutant of the files named, by mutmut's operators: runs in `.venv-mutants`, prints JSON.

    .venv-mutants/bin/python scripts/mutation/generate.py agent/core/market.py ...

A mutant is one text put in the place of another: path, offsets, old and new text, the function around it, and the lines
of the statement around it, one of which a test must run to be able to notice anything.

What mutmut mutates is mutated here, with its exceptions: annotations, docstrings, decorators, the arguments of `len` and
`isinstance`, and what is outside of functions (tables, constants and fields). Two rules differ:

- Functions with decorators are mutated too. mutmut leaves them out since it cannot wrap a property; here nothing is
  wrapped.
- Left out are texts in a `raise`, in `__repr__` and in `__str__`, and all literals with a space in them: no test should
  hold a wording to the letter. (That there is a text at all is tested: None in its place is a mutant.) So is the type in a
  `cast`, which does nothing at run time, and `strict` of `zip`, which compares two lengths that are one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import libcst as cst
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import MutationVisitor, OuterFunctionProvider
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

WORDING = {"__repr__", "__str__"}


class Finder(MutationVisitor):
    """mutmut's visitor, that keeps where each mutation is and what stands around it."""

    METADATA_DEPENDENCIES = (PositionProvider, OuterFunctionProvider, ByteSpanPositionProvider)

    def __init__(self, path: str, text: str, module: cst.Module) -> None:
        super().__init__(mutation_operators, IgnoredCode(set(), set(), set()))
        self.path = path
        self.raw = text.encode()
        self.module = module
        self.around: list[cst.CSTNode] = []
        self.found: list[dict[str, object]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if not super().on_visit(node):
            return False
        self.around.append(node)
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        super().on_leave(original_node)
        if self.around and self.around[-1] is original_node:
            self.around.pop()

    def _skip_node_and_children(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.FunctionDef) and node.decorators:
            node = node.with_changes(decorators=())
        if isinstance(node, cst.BaseString) and (self._is_wording() or " " in self.module.code_for_node(node)):
            # What an f-string puts into a sentence is as much wording as the sentence.
            return True
        parent = self.around[-1] if self.around else None
        if isinstance(parent, cst.Call) and isinstance(parent.func, cst.Name) and parent.func.value == "cast":
            if node is parent.args[0]:
                return True
        if isinstance(node, cst.Arg) and node.keyword is not None and node.keyword.value == "strict":
            return True
        return super()._skip_node_and_children(node)

    def _is_wording(self) -> bool:
        return any(
            isinstance(one, cst.Raise) or (isinstance(one, cst.FunctionDef) and one.name.value in WORDING)
            for one in self.around
        )

    def _create_mutations(self, node: cst.CSTNode) -> None:
        before = len(self.mutations)
        super()._create_mutations(node)
        function = self._function()
        if function is None or (self.around and isinstance(self.around[-1], cst.Raise) and says_only_words(node)):
            return
        span = self.get_metadata(ByteSpanPositionProvider, node)
        whole = self.raw[span.start : span.start + span.length].decode()
        old = whole.strip()
        start = span.start + len(whole) - len(whole.lstrip())
        place = self.get_metadata(PositionProvider, node)
        first, last = self._lines(node)
        is_cast = isinstance(node, cst.Call) and isinstance(node.func, cst.Name) and node.func.value == "cast"
        for mutation in self.mutations[before:]:
            new = self.module.code_for_node(mutation.mutated_node).strip()
            if isinstance(node, cst.Match):
                new = new.replace("\n", "\n" + " " * place.start.column)
            if (
                new == old
                or (is_cast and new.startswith("cast(None"))
                or old.count("strict=True") > new.count("strict=True")
            ):
                continue
            mutant = {
                "path": self.path, "function": function, "line": place.start.line, "lines": [first, last],
                "start": start, "end": start + len(old.encode()), "old": old, "new": new,
            }  # fmt: skip
            mutant["before"], mutant["after"] = self._changed_lines(start, start + len(old.encode()), new)
            self.found.append(mutant)

    def _changed_lines(self, start: int, end: int, new: str) -> tuple[str, str]:
        """The lines that a mutant changes, before and after, without their indentation."""
        first, last = self.raw.rfind(b"\n", 0, start) + 1, self.raw.find(b"\n", end)
        before = self.raw[first:last].decode()
        after = (self.raw[first:start] + new.encode() + self.raw[end:last]).decode()
        return without_what_is_equal(before.splitlines(), after.splitlines())

    def _function(self) -> str | None:
        """The qualified name of the outermost function, None outside of functions."""
        classes: list[str] = []
        for one in self.around:
            if isinstance(one, cst.FunctionDef):
                return ".".join([*classes, one.name.value])
            if isinstance(one, cst.ClassDef):
                classes.append(one.name.value)
        return None

    def _lines(self, node: cst.CSTNode) -> tuple[int, int]:
        """The lines of the statement around a node; of a compound statement, as far as the node goes."""
        place = self.get_metadata(PositionProvider, node)
        for one in (node, *reversed(self.around)):
            if isinstance(one, cst.BaseSmallStatement | cst.FunctionDef):
                whole = self.get_metadata(PositionProvider, one)
                return whole.start.line, whole.end.line
            if isinstance(one, cst.BaseCompoundStatement):
                return self.get_metadata(PositionProvider, one).start.line, place.end.line
        return place.start.line, place.end.line


def says_only_words(node: cst.CSTNode) -> bool:
    """An exception that has nothing but texts."""
    texts = cst.SimpleString | cst.FormattedString | cst.ConcatenatedString
    return isinstance(node, cst.Call) and all(isinstance(argument.value, texts) for argument in node.args)


def without_what_is_equal(before: list[str], after: list[str]) -> tuple[str, str]:
    """The lines in which two pieces of text differ: of a call on many lines, that of the argument."""
    while before and after and before[0] == after[0]:
        del before[0], after[0]
    while before and after and before[-1] == after[-1]:
        del before[-1], after[-1]
    return tuple("\n".join(line.strip() for line in lines) for lines in (before, after))  # type: ignore[return-value] # of two texts, two


def mutants_of(path: str) -> list[dict[str, object]]:
    text = Path(path).read_text()
    wrapper = MetadataWrapper(cst.parse_module(text))
    finder = Finder(path, text, wrapper.module)
    wrapper.visit(finder)
    raw = text.encode()
    original = compile(text, path, "exec")
    kept = []
    for mutant in finder.found:
        source = raw[: mutant["start"]] + mutant["new"].encode() + raw[mutant["end"] :]  # type: ignore[index, attr-defined] # of a mutant's fields each has its own type
        try:
            code = compile(source, path, "exec")
        except SyntaxError:
            print(f"does not compile: {mutant}", file=sys.stderr)
            continue
        if not same(code, original):
            kept.append(mutant)
    return kept


def same(one: object, other: object) -> bool:
    """True where two pieces of code do the same, instruction by instruction."""
    if not hasattr(one, "co_code") or not hasattr(other, "co_code"):
        return type(one) is type(other) and one == other
    return (
        one.co_code == other.co_code
        and one.co_names == other.co_names
        and one.co_varnames == other.co_varnames
        and one.co_exceptiontable == other.co_exceptiontable
        and len(one.co_consts) == len(other.co_consts)
        and all(same(a, b) for a, b in zip(one.co_consts, other.co_consts, strict=True))
    )


def main() -> None:
    json.dump([mutant for path in sys.argv[1:] for mutant in mutants_of(path)], sys.stdout)


if __name__ == "__main__":
    main()

"""Conditions: a small safe subset of Python, read by its own parser and judged without eval."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from towpath.config.output_reference import Lookup, Reference, find_value, of_node
from towpath.errors import StepFailed

LONGEST = 2000  # characters; the subset has no loops, so length bounds the work
DEEPEST = 100
_LINES = re.compile(r"\s*\n\s*")

ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: lambda a, b: math.pow(a, b),  # in floats: an integer's power could fill the memory
}
_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_EQUALITY: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_MEMBERSHIP: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
COMPARISONS = {**_ORDER, **_EQUALITY, **_MEMBERSHIP}
_ALLOWED = (*ARITHMETIC, *COMPARISONS, ast.And, ast.Or, ast.Not, ast.UAdd)


@dataclass(frozen=True)
class Expression:
    """A condition that was read and found to be within the subset."""

    text: str
    references: tuple[Reference, ...]

    def evaluate(self, lookup: Lookup) -> bool:
        """True or false; ``lookup`` gives the data behind a base such as ``evaluate.metrics``.

        Raises StepFailed where that cannot be said: a missing key, NaN, text against a number,
        a division by zero, or a result that is neither true nor false.
        """
        result = _Judge(lookup).value(_parse_tree(self.text))
        return _require_truth(result, f"`{self.text}`")


def parse_condition(text: str) -> Expression:
    """A condition; raises ValueError, whose words say what is not allowed."""
    if len(text) > LONGEST:
        raise ValueError(f"the condition is longer than {LONGEST} characters")
    try:
        tree = _parse_tree(text)
        references = tuple(dict.fromkeys(_find_references(tree)))
    except SyntaxError as error:
        position = f" at column {error.offset}" if error.offset else ""
        raise ValueError(f"`{text.strip()}` is no condition: {error.msg}{position}") from None
    except (RecursionError, MemoryError):
        raise ValueError("the condition is nested too deeply") from None
    return Expression(text.strip(), references)


def _parse_tree(text: str) -> ast.expr:
    if "\0" in text:  # some releases of Python raise a ValueError of their own
        raise SyntaxError("it holds a null character")
    tree = ast.parse(_LINES.sub(" ", text.strip()), mode="eval").body
    if _nesting_depth(tree) > DEEPEST:
        raise RecursionError
    return tree


def _nesting_depth(node: ast.AST) -> int:
    """How many expressions stand in each other."""
    depth, level = 0, [node]
    while level := [child for parent in level for child in ast.iter_child_nodes(parent)]:
        depth += 1
    return depth


def _find_references(node: ast.expr) -> Iterator[Reference]:
    """The references in an expression; raises ValueError at what the subset does not hold."""
    reference = of_node(node)
    if reference is not None:
        yield reference
        return
    for part in _operand_nodes(node):
        yield from _find_references(part)


def _operand_nodes(node: ast.expr) -> list[ast.expr]:
    match node:
        case ast.BoolOp(values=values):
            return values
        case ast.BinOp(left=left, op=op, right=right) if isinstance(op, _ALLOWED):
            return [left, right]
        case ast.UnaryOp(operand=operand, op=op) if isinstance(op, ast.Not | ast.USub | ast.UAdd):
            return [operand]
        case ast.Compare(left=left, ops=ops, comparators=others):
            if all(isinstance(op, _ALLOWED) for op in ops):
                return [left, *others]
            raise ValueError("`is` is not allowed in a condition, `==` is")
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return items
        case ast.Constant(value=value) if value is None or isinstance(value, str | int | float):
            return []
    raise ValueError(f"{_describe_node(node)} not allowed in a condition")


def _describe_node(node: ast.expr) -> str:
    words = {
        ast.Call: "a call is",
        ast.Lambda: "a function is",
        ast.IfExp: "`... if ... else ...` is",
        ast.JoinedStr: "an f-string is",
        ast.NamedExpr: "an assignment is",
        ast.Dict: "a mapping is",
        ast.Subscript: "a subscript other than a key of a reference is",
        ast.Attribute: "an attribute of something other than a reference is",
    }
    return words.get(type(node), f"`{ast.unparse(node)}` is")


@dataclass(frozen=True)
class _Judge:
    lookup: Lookup

    def value(self, node: ast.expr) -> Any:
        reference = of_node(node)
        if reference is not None:
            return _refuse_nan(find_value(reference, self.lookup), f"`{reference}`")
        match node:
            case ast.BoolOp():
                return self._judge_boolean(node)
            case ast.UnaryOp():
                return self._judge_unary(node)
            case ast.BinOp():
                return self._judge_arithmetic(node)
            case ast.Compare():
                return self._judge_comparison(node)
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return [self.value(item) for item in items]
        return ast.literal_eval(node)

    def _judge_boolean(self, node: ast.BoolOp) -> bool:
        """Left to right, and no further than is needed: what is not asked need not exist."""
        decisive = isinstance(node.op, ast.Or)
        for part in node.values:
            if _require_truth(self.value(part), f"`{ast.unparse(part)}`") is decisive:
                return decisive
        return not decisive

    def _judge_unary(self, node: ast.UnaryOp) -> Any:
        value = self.value(node.operand)
        shown = f"`{ast.unparse(node.operand)}`"
        if isinstance(node.op, ast.Not):
            return not _require_truth(value, shown)
        number = _require_number(value, shown)
        return -number if isinstance(node.op, ast.USub) else number

    def _judge_arithmetic(self, node: ast.BinOp) -> Any:
        left = _require_number(self.value(node.left), f"`{ast.unparse(node.left)}`")
        right = _require_number(self.value(node.right), f"`{ast.unparse(node.right)}`")
        shown = f"`{ast.unparse(node)}`"
        try:
            return _refuse_nan(ARITHMETIC[type(node.op)](left, right), shown)
        except (ArithmeticError, ValueError) as error:
            raise StepFailed(f"{shown} cannot be worked out: {error}") from None

    def _judge_comparison(self, node: ast.Compare) -> bool:
        left = self.value(node.left)
        for op, other in zip(node.ops, node.comparators, strict=True):
            right = self.value(other)
            if not _comparison_holds(op, left, right, f"`{ast.unparse(node)}`"):
                return False
            left = right
        return True


def _comparison_holds(op: ast.cmpop, left: Any, right: Any, shown: str) -> bool:
    test = _MEMBERSHIP.get(type(op))
    if test:
        return _holds_member(test, left, right, shown)
    kinds = {_kind_in_words(left), _kind_in_words(right)}
    equality = _EQUALITY.get(type(op))
    if equality:
        if len(kinds - {"null"}) > 1:
            raise StepFailed(f"{shown} compares {' with '.join(sorted(kinds))}")
        return equality(left, right)
    if kinds not in ({"a number"}, {"text"}):
        raise StepFailed(f"{shown} orders {' and '.join(sorted(kinds))}")
    return _ORDER[type(op)](left, right)


def _holds_member(test: Callable[[Any, Any], bool], left: Any, right: Any, shown: str) -> bool:
    if isinstance(right, list | Mapping) or (isinstance(right, str) and isinstance(left, str)):
        return test(left, right)
    raise StepFailed(f"{shown} looks for {_kind_in_words(left)} in {_kind_in_words(right)}")


def _kind_in_words(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return (
        "text" if isinstance(value, str) else "a list" if isinstance(value, list) else "a mapping"
    )


def _require_truth(value: Any, shown: str) -> bool:
    if isinstance(value, bool):
        return value
    raise StepFailed(
        f"{shown} is {_kind_in_words(value)}, neither true nor false", hint="compare it"
    )


def _require_number(value: Any, shown: str) -> int | float:
    if _kind_in_words(value) == "a number":
        return value  # type: ignore[no-any-return]
    raise StepFailed(f"{shown} is {_kind_in_words(value)}, not a number")


def _refuse_nan(value: Any, shown: str) -> Any:
    numbers = value if isinstance(value, list) else [value]
    if any(isinstance(number, float) and math.isnan(number) for number in numbers):
        raise StepFailed(f"{shown} is NaN: neither true nor false can be said of it")
    return value

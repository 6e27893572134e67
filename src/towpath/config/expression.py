"""What a declaration may say of values: references to them, conditions and messages over them."""

from __future__ import annotations

import ast
import json
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any, TypeAlias

from msgspec import Struct

from towpath.errors import StepFailed, did_you_mean

Key: TypeAlias = str | int


class Reference(Struct, frozen=True):
    """One reference as it is written; only the pipeline knows what ``name`` names.

    ``raw`` is ``Reference("raw")``; ``evaluate.metrics.mse`` is ``Reference("evaluate",
    "metrics", ("mse",))``.
    """

    name: str
    output: str | None = None
    keys: tuple[Key | KeyReference, ...] = ()

    @property
    def with_keys(self) -> Iterator[Reference]:
        """The reference, and those that its keys are."""
        yield self
        for key in self.keys:
            if isinstance(key, KeyReference):
                yield from key.reference.with_keys

    @property
    def plain_keys(self) -> tuple[Key, ...]:
        """The keys that are written, up to the first whose value another reference has."""
        return tuple(takewhile(lambda key: not isinstance(key, KeyReference), self.keys))  # type: ignore[arg-type]

    @property
    def base(self) -> str:
        """What holds the value, without the keys: ``max_mse`` or ``evaluate.metrics``."""
        return self.name if self.output is None else f"{self.name}.{self.output}"

    @property
    def last_name(self) -> str:
        """The name that an item of a list takes: the last one."""
        words = [key for key in self.keys if isinstance(key, str) and key.isidentifier()]
        return words[-1] if words else self.output or self.name

    def __str__(self) -> str:
        return self.base + "".join(map(_show_key, self.keys))


class KeyReference(Struct, frozen=True):
    """A key whose value a parameter has: ``evaluate.metrics[metric]``."""

    reference: Reference


def _show_key(key: Key | KeyReference) -> str:
    if isinstance(key, KeyReference):
        return f"[{key.reference}]"
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{json.dumps(key)}]"


def parse_value_reference(text: str) -> Reference:
    """A reference; raises ValueError, whose words say what is wrong."""
    try:
        reference = of_node(ast.parse(_spell_names(text.strip()), mode="eval").body)
    # Python's parser says of brackets without end that its memory or its stack does not suffice.
    except (SyntaxError, RecursionError, MemoryError):
        reference = None
    if reference is None:
        raise ValueError(f"`{text}` is no reference: write `name` or `step.output`")
    return reference


def parse_alternatives(text: str) -> tuple[Reference, ...]:
    """The references of ``a.x or b.y``, one where there is no ``or``; raises as for one."""
    return tuple(parse_value_reference(part) for part in text.split(" or "))


def of_node(node: ast.expr) -> Reference | None:
    """The reference that a piece of Python's syntax spells, or None."""
    keys: list[Key | KeyReference] = []
    while isinstance(node, ast.Attribute | ast.Subscript):  # the last key is the outermost node
        key = _node_key(node)
        if key is None:
            return None
        keys.insert(0, key)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    if keys and isinstance(keys[0], str):
        output = "for" if (node.id, keys[0]) == ("run", _FOR) else keys[0]
        return Reference(node.id, output, tuple(keys[1:]))
    return Reference(node.id, None, tuple(keys))


#: How Python's parser gets to see the one name that is a word of its own.
_FOR = "for_"
_FOR_NAME = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|\brun\.for\b""")


def _spell_names(text: str) -> str:
    return _FOR_NAME.sub(lambda match: match[1] or f"run.{_FOR}", text)


def _node_key(node: ast.Attribute | ast.Subscript) -> Key | KeyReference | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    match node.slice:
        case ast.Constant(value=str() | int() as key) if not isinstance(key, bool):
            return key
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as number)):
            return -number
        case ast.Name() | ast.Attribute() | ast.Subscript() as inner:
            reference = of_node(inner)
            return KeyReference(reference) if reference else None
    return None


Lookup: TypeAlias = Callable[[str], Any]
"""Gives the data behind a base: for ``max_mse`` a value, for ``evaluate.metrics`` a document."""


def find_value(reference: Reference, lookup: Lookup) -> Any:
    """The value of a reference; raises StepFailed, naming the near key, where it is not there."""
    keys = tuple(_find_key(key, lookup) for key in reference.keys)
    return pick_value(lookup(reference.base), keys, reference.base)


def _find_key(key: Key | KeyReference, lookup: Lookup) -> Key:
    if not isinstance(key, KeyReference):
        return key
    value = find_value(key.reference, lookup)
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise StepFailed(f"`{key.reference}` is {_kind_in_words(value)}, which is no key")


def pick_value(data: Any, keys: tuple[Key, ...], base: str) -> Any:
    """What stands under keys in a JSON document that ``base`` calls by name."""
    shown_path = base
    for key in keys:
        data = _enter_key(data, key, shown_path)
        shown_path = f"{shown_path}.{key}" if isinstance(key, str) else f"{shown_path}[{key}]"
    return data


def _enter_key(data: Any, key: Key, shown_path: str) -> Any:
    if isinstance(data, Mapping):
        if str(key) in data:  # JSON's keys are text: `counts[3]` means the key "3"
            return data[str(key)]
        listed = f"it has {', '.join(map(str, data))[:200]}" if data else None
        hint = did_you_mean(str(key), data) or listed
        raise StepFailed(f"`{shown_path}` has no key `{key}`", hint=hint)
    if isinstance(data, Sequence) and not isinstance(data, str):
        if isinstance(key, int) and -len(data) <= key < len(data):
            return data[key]
        raise StepFailed(f"`{shown_path}` is a list of {len(data)} and has no item `{key}`")
    raise StepFailed(f"`{shown_path}` is {data!r} and has no key `{key}`")


LONGEST = 2000  # characters; the subset has no loops, so length bounds the work
DEEPEST = 100  # far from the thousand calls of Python's stack, and deeper than anybody writes
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
COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_ALLOWED = (*ARITHMETIC, *COMPARISONS, ast.And, ast.Or, ast.Not, ast.UAdd)


class Expression(Struct, frozen=True):
    """A condition that was read and found to be within the subset."""

    text: str
    references: tuple[Reference, ...]

    def evaluate(self, lookup: Lookup) -> bool:
        """True or false; ``lookup`` gives the data behind a base such as ``evaluate.metrics``.

        Raises StepFailed where that cannot be said: a missing key, NaN, text against a number,
        a division by zero, or a result that is neither true nor false.
        """
        return _require_truth(_Judge(lookup).value(_parse_tree(self.text)), f"`{self.text}`")


def parse_condition(text: str) -> Expression:
    """A condition; raises ValueError, whose words say what is not allowed."""
    if len(text) > LONGEST:
        raise ValueError(f"the condition is longer than {LONGEST} characters")
    _refuse_bare_date(text)
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
    tree = ast.parse(_spell_names(_LINES.sub(" ", text.strip())), mode="eval").body
    if _nesting_depth(tree) > DEEPEST:
        raise RecursionError
    return tree


def _nesting_depth(node: ast.AST) -> int:
    depth, level = 0, [node]  # by levels: to call itself is what it is to keep others from
    while level := [child for parent in level for child in ast.iter_child_nodes(parent)]:
        depth += 1
    return depth


def _find_references(node: ast.expr) -> Iterator[Reference]:
    """The references in an expression; raises ValueError at what the subset does not hold."""
    reference = of_node(node)
    if reference is not None:
        yield from reference.with_keys
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
        case ast.Call(func=ast.Name(id="date")):
            return _date_operands(node)
        case ast.Constant(value=value) if value is None or isinstance(value, str | int | float):
            return []
    raise ValueError(f"{_describe_node(node)} not allowed in a condition")


_DATE_HINT = 'a date is written `date("2026-01-31")`'
_BARE_DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")
_QUOTED = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""")


def _refuse_bare_date(text: str) -> None:
    # Python would take one from the other: 2026-11-26 is 1989.
    if bare := _BARE_DATE.search(_QUOTED.sub("", text)):
        raise ValueError(f"`{bare[0]}` would be a difference: {_DATE_HINT}")


def _date_operands(call: ast.Call) -> list[ast.expr]:
    """What a date is made of; ValueError where that is neither text nor a reference."""
    argument = call.args[0] if len(call.args) == 1 and not call.keywords else None
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        if _parse_date(argument.value) is None:
            raise ValueError(f"`{argument.value}` is no date: {_DATE_HINT}")
        return []
    if argument is None or of_node(argument) is None:
        raise ValueError(f"`{ast.unparse(call)}` is no date: {_DATE_HINT}")
    return [argument]


def _parse_date(text: str) -> datetime | None:
    """A day or a moment in ISO 8601; in UTC where it says no zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _require_date(value: Any, shown: str) -> datetime:
    if isinstance(value, datetime):
        return value
    moment = _parse_date(value) if isinstance(value, str) else None
    if moment is None:
        shown_value = f"`{value}`" if isinstance(value, str) else _kind_in_words(value)
        raise StepFailed(f"{shown} is {shown_value}, which is no date", hint="2026-01-31 is one")
    return moment


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


class _Judge(Struct, frozen=True):
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
            case ast.Call(args=[argument]):
                return _require_date(self.value(argument), f"`{ast.unparse(argument)}`")
        return ast.literal_eval(node)  # a constant by now: all else was refused as it was read

    def _judge_boolean(self, node: ast.BoolOp) -> bool:
        decisive = isinstance(node.op, ast.Or)
        # Left to right, and no further than is needed: what is not asked need not exist.
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
    # Python would call text unequal to a number, and so would decide on a mistake in silence.
    kinds = {_kind_in_words(left), _kind_in_words(right)}
    if kinds == {"a date", "text"}:  # JSON has no dates, so text beside one is read as one
        left, right = _require_date(left, shown), _require_date(right, shown)
        kinds = {"a date"}
    if isinstance(op, ast.In | ast.NotIn):
        if not _can_look_for(left, right):
            raise StepFailed(f"{shown} looks for {_kind_in_words(left)} in {_kind_in_words(right)}")
        if isinstance(right, list):
            left, *right = _read_dates([left, *right], shown)
    elif isinstance(op, ast.Eq | ast.NotEq):
        if len(kinds - {"null"}) > 1:
            raise StepFailed(f"{shown} compares {' with '.join(sorted(kinds))}")
    elif kinds not in ({"a number"}, {"text"}, {"a date"}):
        raise StepFailed(f"{shown} orders {' and '.join(sorted(kinds))}")
    return COMPARISONS[type(op)](left, right)


def _can_look_for(left: Any, right: Any) -> bool:
    if isinstance(right, Mapping):  # its keys are text: to look for a list or a date is a mistake
        return _kind_in_words(left) in ("text", "a number")
    return isinstance(right, list) or (isinstance(left, str) and isinstance(right, str))


def _read_dates(values: list[Any], shown: str) -> list[Any]:
    """The values, whose texts are read as dates where one of them is a date, as ``==`` does."""
    if not any(isinstance(value, datetime) for value in values):
        return values
    return [_require_date(v, shown) if isinstance(v, str) else v for v in values]


def _kind_in_words(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):  # before the numbers, of which Python takes it for one
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, datetime):
        return "a date"
    return "a list" if isinstance(value, list) else "a mapping"


def _require_truth(value: Any, shown: str) -> bool:
    if isinstance(value, bool):  # no number and no list counts as true: what is meant is unclear
        return value
    what = f"{shown} is {_kind_in_words(value)}, neither true nor false"
    raise StepFailed(what, hint="compare it")


def _require_number(value: Any, shown: str) -> int | float:
    if _kind_in_words(value) == "a number":
        return value  # type: ignore[no-any-return]
    raise StepFailed(f"{shown} is {_kind_in_words(value)}, not a number")


def _refuse_nan(value: Any, shown: str) -> Any:
    # Every comparison with NaN is false, `!=` is true: a gate would pass or fail by its spelling.
    numbers = value if isinstance(value, list) else [value]
    if any(isinstance(number, float) and math.isnan(number) for number in numbers):
        raise StepFailed(f"{shown} is NaN: neither true nor false can be said of it")
    return value


_PIECE = re.compile(r"\{\{|\}\}|\{(?P<reference>[^{}:!]*)(:(?P<format>[^{}]*))?\}|(?P<stray>[{}])")
# Less than Python's: `{mse:999999999}` would fill the memory.
_FORMAT = re.compile(r"([^{}]?[<>=^])?[-+ ]?#?0?\d{0,3}[,_]?(\.\d{1,2})?[sdeEfFgGxXn%]?")


class Hole(Struct, frozen=True):
    reference: Reference
    format: str


class MessageTemplate(Struct, frozen=True):
    """A message: text and holes in turn."""

    text: str
    parts: tuple[str | Hole, ...]

    @property
    def references(self) -> tuple[Reference, ...]:
        holes = (part.reference for part in self.parts if isinstance(part, Hole))
        return tuple(dict.fromkeys(r for reference in holes for r in reference.with_keys))

    def fill(self, lookup: Lookup) -> str:
        """The message with its values; raises StepFailed where one is missing or does not fit."""
        return "".join(p if isinstance(p, str) else _fill_hole(p, lookup) for p in self.parts)


def parse_message(text: str) -> MessageTemplate:
    """A message; raises ValueError, whose words say what is wrong."""
    parts: list[str | Hole] = []
    end = 0
    for match in _PIECE.finditer(text):
        parts += [text[end : match.start()], _parse_part(match)]
        end = match.end()
    parts.append(text[end:])
    return MessageTemplate(text, tuple(part for part in parts if part != ""))


def _parse_part(match: re.Match[str]) -> str | Hole:
    if match["stray"]:
        raise ValueError(f"a `{match['stray']}` is no part of a reference: double it to show it")
    if match["reference"] == "":
        raise ValueError("`{}` names nothing")
    if match["reference"] is None:
        return match[0][0]
    form = match["format"] or ""
    if not _FORMAT.fullmatch(form):
        raise ValueError(f"`{form}` is no format: write one such as `.2f`")
    return Hole(parse_value_reference(match["reference"]), form)


def _fill_hole(hole: Hole, lookup: Lookup) -> str:
    value = find_value(hole.reference, lookup)
    try:
        return format(value, hole.format)
    except (ValueError, TypeError, OverflowError):
        what = f"`{hole.reference}` is {value!r} and cannot be written as `{hole.format}`"
        raise StepFailed(what) from None

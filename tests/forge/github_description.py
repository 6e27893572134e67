"""GitHub's own description of its API, as githubkit's generated client holds it.

Which method and path an operation has, which query it takes, and the types of its body and of its
answers are read from the client's source, so that the test server and the description cannot part.
"""

from __future__ import annotations

import inspect
import re
import types
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from urllib.parse import unquote

from githubkit import GitHub
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

VERSION = "2026-03-10"
_CLIENT = GitHub("none", http_cache=False)


@dataclass(frozen=True)
class Operation:
    """One operation: how it is called, and what it takes and answers."""

    name: str
    method: str
    path: re.Pattern[str]
    query: frozenset[str]
    body: Any
    answer: Any
    errors: dict[int, Any]

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The parts of a path that this operation names; None for another operation."""
        found = self.path.fullmatch(path) if method == self.method else None
        return {k: unquote(v) for k, v in found.groupdict().items()} if found else None

    def wrong_call(self, query: dict[str, str], body: Any) -> list[str]:
        """What the description does not allow in a request."""
        wrong = [f"query {name} is not known" for name in query if name not in self.query]
        if self.body is None:
            return wrong + (["a body where none is taken"] if body is not None else [])
        known = {key for model in _models(self.body) for key in _keys(model)}
        if isinstance(body, dict):
            wrong += [f"{key} is not a permitted key." for key in body if key not in known]
        return wrong + _faults(self.body, body)

    def wrong_answer(self, status: int, answer: Any) -> list[str]:
        """What the description does not allow in an answer."""
        kind = self.answer if status < 400 else self.errors.get(status)
        if kind is None:
            return ["a body where none is answered"] if status < 400 and answer else []
        return _faults(kind, answer)

    def complete(self, given: Any) -> Any:
        """An answer in which what must be there and was not given is dull."""
        models = _models(self.answer)
        return complete(models[0] if models else self.answer, given)


@cache
def operation(room: str, name: str) -> Operation:
    """The operation behind ``github.rest.<room>.<name>``."""
    function = getattr(getattr(_CLIENT.rest, room), name)
    source = inspect.getsource(inspect.unwrap(function))
    scope = _scope(source)
    (url,) = re.findall(r'url = f?"(.*?)"', source)
    (method,) = re.findall(r'^ +"(GET|POST|PUT|PATCH|DELETE)",$', source, re.M)
    path = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", url))
    asked = re.search(r"params = \{(.*?)\}", source, re.S)
    query = frozenset(re.findall(r'"(\w+)": ', asked[1])) if asked else frozenset()
    bodies = re.findall(r"type_validate_python\(\s*(.*?),\s*json\s*\)", source, re.S)
    answers = re.findall(r"response_model=(.*?),\n +(?:error_models=|\))", source, re.S)
    errors = re.findall(r'"(\d{3})": (\w+),', source)
    return Operation(
        name,
        method,
        path,
        query,
        eval(bodies[0], scope) if bodies else None,
        eval(answers[0].strip(), scope) if answers else None,
        {int(status): eval(kind, scope) for status, kind in errors},
    )


def _scope(source: str) -> dict[str, Any]:
    from githubkit_schemas.latest import models

    names = {*re.findall(r"\b[A-Z]\w+", source)}
    known = {name: getattr(models, name) for name in names if _has(models, name)}
    return {**known, "Union": Union, "Any": Any, "Annotated": Annotated, "Field": Field}


def _has(module: Any, name: str) -> bool:
    try:
        return getattr(module, name) is not None
    except AttributeError:
        return False


def complete(kind: Any, given: Any) -> Any:
    """A value of a type from what is given of it."""
    if isinstance(given, list):
        items = next((get_args(k)[0] for k in _members(kind) if get_origin(k) is list), Any)
        return [complete(items, one) for one in given]
    models = _models(kind)
    if not isinstance(given, dict) or len(models) != 1:
        return given
    whole = dict(given)
    for name, field in models[0].model_fields.items():
        key = field.alias or name
        if key in given:
            whole[key] = complete(field.annotation, given[key])
        elif field.is_required():
            whole[key] = _dull(field.annotation)
    return whole


def _dull(kind: Any) -> Any:
    members = _members(kind)
    if type(None) in members:
        return None
    first = members[0]
    if get_origin(first) is Literal:
        return get_args(first)[0]
    if isinstance(first, type) and issubclass(first, BaseModel):
        return complete(first, {})
    dull = {str: "", int: 0, bool: False, float: 0.0, list: [], dict: {}}
    return dull.get(get_origin(first) or first, "2026-01-01T00:00:00Z")


def _members(kind: Any) -> list[Any]:
    origin = get_origin(kind)
    if origin is Annotated:
        return _members(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        return [one for part in get_args(kind) for one in _members(part)]
    return [kind]


def _models(kind: Any) -> list[type[BaseModel]]:
    return [k for k in _members(kind) if isinstance(k, type) and issubclass(k, BaseModel)]


def _keys(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _faults(kind: Any, value: Any) -> list[str]:
    try:
        _adapter(kind).validate_python(value)
    except ValidationError as error:
        return [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
    return []

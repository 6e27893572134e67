"""The parameters of a dvc.yaml as those of a pipeline: a name for each key of each file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from towpath.pipeline.step_faults import SETTINGS_FILES


@dataclass
class DvcParameters:
    """Names and values of parameters, as they are asked for. ``new_name`` makes one that nothing
    else of the pipeline has."""

    root: Path
    new_name: Callable[[str], str]
    declared: dict[str, Any] = field(default_factory=dict)
    _names: dict[tuple[str, str], str] = field(default_factory=dict)
    _files: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def can_write(path: str) -> bool:
        """Whether a command can be given such a file with the values of a run."""
        return PurePosixPath(path).suffix in SETTINGS_FILES

    def of_file(self, path: str, keys: list[str] | None) -> tuple[dict[str, str], tuple[str, ...]]:
        """Parameters by their key in a file, sections as all that stands in them; and the keys
        that have no value which a parameter can have. No keys: the whole file."""
        whole = self._read_file(path)
        names: dict[str, str] = {}
        missing: list[str] = []
        for key in keys or [""]:
            leaves = list(_walk_leaves(key, _value_at(whole, key)))
            fit = [(leaf, value) for leaf, value in leaves if _is_fit(leaf, value)]
            names |= {leaf: self._declare_name(path, leaf, value) for leaf, value in fit}
            missing += [leaf for leaf, value in leaves if not _is_fit(leaf, value)]
        return names, tuple(missing)

    def of_variable(self, key: str, value: Any) -> str:
        """The parameter of a variable in a command: that of a file with the key, or its own."""
        for (_, known_key), name in self._names.items():
            if known_key == key and self.declared.get(name) == value:
                return name
        return self._declare_name("", key, value)

    def _declare_name(self, path: str, key: str, value: Any) -> str:
        if (path, key) not in self._names:
            name = self._shared_name(key, value) or self.new_name(key)
            self._names[path, key] = name
            self.declared[name] = {"default": None, "type": "string"} if value is None else value
        return self._names[path, key]

    def _shared_name(self, key: str, value: Any) -> str | None:
        """A variable's name, once a stage names the key of the file that the variable is from."""
        name = self._names.get(("", key))
        return name if name and self.declared[name] == value else None

    def _read_file(self, path: str) -> Any:
        from towpath.backends.dvc.dvc_stages import read_values

        if path not in self._files:
            self._files[path] = read_values(self.root / path)
        return self._files[path]


_NOTHING = object()


def _value_at(data: Any, key: str) -> Any:
    for part in key.split(".") if key else ():
        if isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        elif isinstance(data, Mapping) and part in data:
            data = data[part]
        else:
            return _NOTHING
    return data


def _walk_leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _walk_leaves(f"{key}.{name}" if key else str(name), inner)
    else:
        yield key, value


def _is_fit(key: str, value: Any) -> bool:
    """Whether a parameter can have the value, and a file the key (not one item of a list)."""
    if value is _NOTHING or isinstance(value, Mapping) or any(p.isdigit() for p in key.split(".")):
        return False
    return value is None or isinstance(value, str | int | float | bool | list)

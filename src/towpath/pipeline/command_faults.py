"""What is wrong with the commands of a pipeline: names that nothing has, and what none names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from towpath.config.command_line import UnfitCommand, parse_command
from towpath.config.pipeline_declaration import CommandStep, bindings, is_json, output_files
from towpath.config.pipeline_file import Declared
from towpath.errors import Fault, Place, did_you_mean

SETTINGS_FILES = (".yaml", ".yml", ".json")
"""The files of parameters that can be written for a command."""


def faults(declared: Declared) -> Iterator[Fault]:
    """Everything that is wrong with the commands, each with its place."""
    for name, step in declared.pipeline.steps.items():
        if isinstance(step, CommandStep):
            yield from _Names(declared, name, step).faults()


@dataclass(frozen=True)
class _Names:
    """What one command names, against what its step has."""

    declared: Declared
    name: str
    step: CommandStep

    def faults(self) -> Iterator[Fault]:
        try:
            named = parse_command(self.step.command, self.step.shell).names
        except UnfitCommand as error:
            yield Fault(str(error), self._place("command"), error.hint)
            return
        yield from self._unknown(named, "command", "the command names")
        yield from self._unknown(tuple(self.step.places), "places", "`places` names")
        yield from self._twice()
        yield from self._unnamed(named)
        yield from self._settings()
        yield from self._metrics()
        yield from self._places()

    def _place(self, *loc: str | int) -> Place | None:
        return self.declared.places.at("steps", self.name, *loc)

    @property
    def _inputs(self) -> dict[str, str | int]:
        return {name: position for name, _, position in bindings(self.step, "inputs") if name}

    @property
    def _params(self) -> dict[str, str | int]:
        return {name: position for name, _, position in bindings(self.step, "params") if name}

    @property
    def _outputs(self) -> list[str]:
        return list(output_files(self.step))

    @property
    def _settled(self) -> list[str]:
        return [name for keys in self.step.settings.values() for name in keys.values()]

    def _unknown(self, named: tuple[str, ...], key: str, subject: str) -> Iterator[Fault]:
        files = [*self._inputs, *self._outputs]
        known = [*files, *self._params] if key == "command" else files
        for name in named:
            if name not in known:
                hint = did_you_mean(name, known)
                if hint is None and key == "command":
                    hint = f"write `{{{{{name}}}}}` to have the braces as they are"
                kinds = "input, parameter or output" if key == "command" else "input or output"
                what = f"{subject} `{name}`, which is no {kinds} of `{self.name}`"
                at = (key,) if key == "command" else (key, name)
                yield Fault(what, self._place(*at), hint)

    def _twice(self) -> Iterator[Fault]:
        taken = {**self._inputs, **self._params}
        for name in self._outputs:
            if name in taken:
                what = f"`{name}` is given to the command and written by it: a name has one meaning"
                yield Fault(
                    what, self._place("outputs"), f"rename it: `outputs: {{new_{name}: ...}}`"
                )

    def _unnamed(self, named: tuple[str, ...]) -> Iterator[Fault]:
        elsewhere = {*named, *self.step.places, *self._settled, *self._meant(named)}
        for name, position in self._inputs.items():
            if name not in elsewhere:
                hint = f"write `{{{name}}}` in it, or `places: {{{name}: path/of/the/file}}`"
                yield self._idle(name, self._place("inputs", position), hint)
        for name, position in self._params.items():
            if name not in elsewhere:
                hint = (
                    f"write `{{{name}}}` in it, or `settings: {{params.yaml: {{{name}: {name}}}}}`"
                )
                yield self._idle(name, self._place("params", position), hint)
        for name in self._outputs:
            if name not in elsewhere:
                what = f"the command does not say where it writes `{name}`"
                hint = f"write `{{{name}}}` in it, or `places: {{{name}: path/of/the/file}}`"
                yield Fault(what, self._place("outputs"), hint)

    def _meant(self, named: tuple[str, ...]) -> Iterator[str]:
        """The names that unknown ones are near to: one typo is one fault."""
        known = [*self._inputs, *self._params, *self._outputs]
        for name in (*named, *self.step.places):
            hint = did_you_mean(name, known) if name not in known else None
            yield from (near for near in known if hint and f"`{near}`" in hint)

    @staticmethod
    def _idle(name: str, place: Place | None, hint: str) -> Fault:
        return Fault(f"the command does not use `{name}`", place, hint)

    def _settings(self) -> Iterator[Fault]:
        known = {**self._params, **self._inputs}
        for file, keys in self.step.settings.items():
            place = self._place("settings", file)
            if PurePosixPath(file).suffix not in SETTINGS_FILES:
                yield Fault(f"{file} cannot be written: settings are .yaml or .json", place)
            for key, name in keys.items():
                if name not in known:
                    what = f"`settings` names `{name}`, which is no parameter of `{self.name}`"
                    hint = did_you_mean(name, known) or f"write `params: [{name}]`"
                    yield Fault(what, self._place("settings", file, key), hint)
            yield from self._within(file, tuple(keys), place)

    @staticmethod
    def _within(file: str, keys: tuple[str, ...], place: Place | None) -> Iterator[Fault]:
        for key in keys:
            inner = next((other for other in keys if other.startswith(f"{key}.")), None)
            if inner:
                yield Fault(f"{file}: `{inner}` lies in `{key}`, which has a value", place)

    def _metrics(self) -> Iterator[Fault]:
        made = output_files(self.step)
        for name in self.step.metrics:
            if name not in made:
                hint = did_you_mean(name, made)
                what = f"`metrics` names `{name}`, which is no output of `{self.name}`"
                yield Fault(what, self._place("metrics"), hint)
            elif not is_json(made[name]):
                what = f"`{name}` is {made[name].path}: metrics are JSON"
                yield Fault(what, self._place("metrics"))

    def _places(self) -> Iterator[Fault]:
        """Two files in one place, or one within the other."""
        seen: dict[tuple[str, ...], str] = {}
        stand = {**{path: path for path in self.step.settings}, **self.step.places}
        for name, path in stand.items():
            parts = PurePosixPath(path.lower()).parts
            for other, theirs in seen.items():
                size = min(len(other), len(parts))
                if other[:size] == parts[:size]:
                    what = f"`{name}` ({path}) and `{theirs}` lie one within the other"
                    yield Fault(what, self._place("places", name), "each has a place of its own")
            seen[parts] = name

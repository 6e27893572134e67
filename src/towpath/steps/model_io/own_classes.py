"""A version's model loaded in a sandbox, with the version's own code where its file names that.

What is looked at first is the file alone. The version's code is found by imports only where the
file names a class that this code defines, that `trust` names, and that may run here.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from towpath.errors import Fault, Place, Refused, StepFailed, TowpathError
from towpath.package_names import plain_package_name
from towpath.steps import project_functions
from towpath.steps.model_io import skops_models

_MODULE = "<module>"  # the name of a frame that runs a file as it is imported


def load_model(path: Path, name: str, trust: Iterable[str], own: Mapping[str, Any]) -> Any:
    """The model in a .skops file called ``name``; ``own`` is ``OwnCode.to_json``'s. ``Refused``
    where it holds what is neither known nor trusted, or code of the version's own that may not run
    here; ``StepFailed`` where a package is missing, or the code cannot be imported."""
    allowed = tuple(trust)
    make_classes_importable(path, name, allowed, own)
    try:
        return skops_models.load_trusted_model(path, name, allowed)
    except StepFailed as failure:
        if own["root"] and (fault := _own_fault(failure.__cause__, own)):
            raise StepFailed(fault) from failure
        if words := "; ".join(compare_recorded(path, name, own)):
            raise StepFailed(
                *(Fault(f"{fault.what} ({words})", fault.place, fault.hint)
                  for fault in failure.faults)
            ) from failure  # fmt: skip
        raise


def make_classes_importable(
    path: Path, name: str, trust: Iterable[str], own: Mapping[str, Any]
) -> None:
    """Let the classes of the version's own be imported that a file names and ``trust`` lets in.
    Raises as :func:`load_model` does; a file with none of them brings no code at all."""
    strange = set(skops_models.find_untrusted(path, name)).intersection(trust)
    mine = sorted(strange.intersection(own["classes"]))
    others = sorted(strange.difference(mine))
    _refuse_not_allowed(mine, own)
    _require_packages(others, own)
    if mine:
        root = Path(own["root"])
        places = (root, root / own["folder"], root / "src")
        refuse_mixed(places, own["version"])
        project_functions.make_project_importable(root, own["folder"])
        if (root / "src").is_dir():  # before a package that is installed from a work tree
            sys.path.insert(0, str(root / "src"))


def check_own_names(names: Iterable[str], functions: Iterable[str], own: Mapping[str, Any]) -> None:
    """Raise as :func:`load_model` does for names of the version's own code that a bundle needs and
    that may not run here, or that its commit does not define; ``functions`` are among ``names``."""
    mine = sorted(set(names).intersection(own["classes"]))
    _refuse_not_allowed(mine, own)
    if strange := sorted(set(functions).difference(mine)):
        why = f"and {own['fault']}" if own["fault"] else "which its commit does not define"
        raise Refused(f"{own['version']} runs {', '.join(strange)}, {why}", hint=own["hint"])
    _require_packages(sorted(set(names).difference(mine)), own)


def refuse_mixed(places: Iterable[Path], version: str) -> None:
    """Raise ``StepFailed`` where this process has a module from elsewhere that code in ``places``
    has too."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not file or name.partition(".")[0] in {"__main__", *sys.stdlib_module_names}:
            continue
        path = name.replace(".", "/")
        for place in places:
            is_there = any((place / own).is_file() for own in (f"{path}.py", f"{path}/__init__.py"))
            if is_there and not Path(file).is_relative_to(place):
                what = f"{version} brings its own {name}, and this process has that of {file}"
                raise StepFailed(what, hint="load it in a process of its own")


def compare_recorded(path: Path, name: str, own: Mapping[str, Any]) -> tuple[str, ...]:
    """Packages that are others than when the version was made, in words, the model's first."""
    files = sorted(path.rglob("*.skops")) if path.is_dir() else [path]
    homes: set[str] = set()
    for file in files:
        try:
            shown = name if file is path else file.name
            homes |= {held.partition(".")[0] for held in skops_models.list_held(file, shown)}
        except TowpathError:
            continue
    return compare_packages(own["packages"], own["python"], homes)


def _refuse_not_allowed(mine: list[str], own: Mapping[str, Any]) -> None:
    if mine and own["root"] is None:
        what = f"{own['version']} holds {', '.join(mine)}, of its own code, and {own['fault']}"
        raise Refused(what, hint=own["hint"])


def _require_packages(names: list[str], own: Mapping[str, Any]) -> None:
    """Raise ``StepFailed`` for what cannot be imported here at all: by package, each once."""
    faults = []
    for home in sorted({name.partition(".")[0] for name in names}):
        if _is_installed(home):
            continue
        if own["fault"] and not own["classes"]:
            held = ", ".join(name for name in names if name.startswith(f"{home}."))
            what = f"{own['version']} holds {held}, and {own['fault']}"
            faults.append(Fault(what, hint=own["hint"]))
            continue
        recorded_package = find_recorded(own["packages"], home)
        package = " ".join(recorded_package) if recorded_package else home
        hint = f"pip install {'=='.join(recorded_package) if recorded_package else home}"
        what = f"{own['version']} needs {package}, which is not installed here"
        faults.append(Fault(what, hint=hint))
    if faults:
        raise StepFailed(*faults)


def _is_installed(home: str) -> bool:
    if home in sys.modules:
        return True
    try:
        return importlib.util.find_spec(home) is not None
    except (ImportError, ValueError):
        return False


def _own_fault(error: BaseException | None, own: Mapping[str, Any]) -> Fault | None:
    """What the version's own code raised while the model was read, with its line, if it did."""
    root = Path(own["root"])
    frames = [
        (Path(frame.filename), frame.lineno or 0, frame.name)
        for frame in traceback.extract_tb(error.__traceback__ if error else None)
    ]
    if isinstance(error, SyntaxError) and error.filename:  # it has no frame of its own
        frames.append((Path(error.filename), error.lineno or 0, _MODULE))
    mine = [frame for frame in frames if frame[0].is_relative_to(root)]
    if not mine:
        return None
    file, line, _ = mine[-1]
    how = "cannot be imported" if any(frame[2] == _MODULE for frame in mine) else "failed"
    words = error.msg if isinstance(error, SyntaxError) else error
    # The place stands in the words: of a fault a sandbox hands on these and the hint.
    place = Place(file.relative_to(root).as_posix(), line)
    return Fault(f"{place}: the code of {own['version']} {how}: {type(error).__name__}: {words}")


@contextmanager
def restored_path() -> Iterator[None]:
    """Outside of a sandbox: once the model is loaded, imports look where they looked before."""
    before = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = before


# Packages as a version's record has them, beside those that are installed.


def compare_packages(
    recorded: Mapping[str, str], python: str | None, homes: Iterable[str]
) -> tuple[str, ...]:
    """What differs, in words: ``scikit-learn 1.8.0 recorded, 1.7.2 here``. What ``homes``, the top
    modules of a model's classes, come from is told first: it matters to whoever loads the model."""
    differing = {
        name: f"{name} {version} recorded, {installed or 'none'} here"
        for name, version in recorded.items()
        # Of a package without a version the record has a digest.
        if version[:1].isdigit() and (installed := _installed_version(name)) != version
    }
    close = _names_of(homes) if differing else frozenset()
    matters = [
        f"{words}: the model's classes come from it"
        for name, words in differing.items()
        if plain_package_name(name) in close
    ]
    others = [words for name, words in differing.items() if plain_package_name(name) not in close]
    if python and python.split(".")[:2] != [str(part) for part in sys.version_info[:2]]:
        others.append(f"Python {python} recorded, {sys.version_info[0]}.{sys.version_info[1]} here")
    return (*matters, *others)


def find_recorded(recorded: Mapping[str, str], home: str) -> tuple[str, str] | None:
    """The recorded package that a top module comes from, by its name, and its version. It is not
    installed, so that only its name tells: ``xgboost`` is of ``xgboost`` or of ``xgboost-cpu``."""
    plain_home = plain_package_name(home)
    for name, version in recorded.items():
        if f"{plain_package_name(name)}-".startswith(f"{plain_home}-"):
            return name, version
    return None


def _installed_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _names_of(homes: Iterable[str]) -> frozenset[str]:
    distributions = metadata.packages_distributions()
    return frozenset(
        plain_package_name(name) for home in homes for name in distributions.get(home, ())
    )

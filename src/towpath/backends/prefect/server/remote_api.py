"""Which Prefect API the user configured, read where Prefect reads it, but without Prefect."""

from __future__ import annotations

import os
import re
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

from towpath.errors import DeclarationError, Fault, Place
from towpath.regular_files import read_regular_file

KEY = "PREFECT_API_URL"
# What a run set for itself is not the user's word, neither to its children nor to the next run.
SET_BY_US = "TOWPATH_SET_PREFECT_API_URL"
AUTH = "PREFECT_API_AUTH_STRING"
AUTH_SET_BY_US = "TOWPATH_SET_PREFECT_API_AUTH_STRING"
OURS = "# Written by `towpath up`; `towpath down` removes it."


class ConfiguredApi(Struct, frozen=True):
    """An address and where it was said, in words and, in a file, by place."""

    url: str
    origin: str
    place: Place | None = None


def find_configured_api(project: Path | None) -> ConfiguredApi | None:
    """The API that Prefect itself would use in `project`; None where it would start its own."""
    if (url := os.environ.get(KEY)) is not None and url != os.environ.get(SET_BY_US):
        # Set but empty hides what files say, as it does in Prefect.
        return ConfiguredApi(url, f"environment variable {KEY}") if url else None
    # The order of Prefect 3: https://docs.prefect.io/v3/concepts/settings-and-profiles
    folder = project or Path.cwd()
    own, pyproject = folder / "prefect.toml", folder / "pyproject.toml"
    if (configured := _read_dotenv(folder)) is not None:
        return configured if configured.url else None  # empty hides, as above
    return (
        (None if is_our_settings(own) else _from_file(own, ("api", "url")))
        or _from_file(pyproject, ("tool", "prefect", "api", "url"))
        or _read_profile(folder)
    )


def find_own_setting(name: str) -> str | None:
    """A setting that is the person's own word: a variable, or the active profile of their home. No
    file of a project is asked: it may come with anybody's branch, and this may be a key."""
    is_ours = name == AUTH and os.environ.get(AUTH) == os.environ.get(AUTH_SET_BY_US)
    if not is_ours and (value := os.environ.get(name)) is not None:
        return value or None
    path = own_profiles_path()
    return _look_up_profile(_read_toml(path, str(path)), name)[1]


def own_profiles_path() -> Path:
    """Where Prefect keeps a person's profiles, if no file of a project says otherwise."""
    if chosen_path := os.environ.get("PREFECT_PROFILES_PATH"):
        return Path(chosen_path)
    return Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect") / "profiles.toml"


def forget_secret() -> None:
    """Take away the secret that a run, in which this is called, has set for its local API."""
    # The user's own API, which is asked next, must not hear it.
    ours = os.environ.pop(AUTH_SET_BY_US, None)
    if ours is not None and os.environ.get(AUTH) == ours:
        del os.environ[AUTH]


def is_our_settings(path: Path) -> bool:
    """Whether a `prefect.toml` was written by `towpath up`."""
    try:
        return read_regular_file(path).startswith(OURS.encode())
    except OSError:
        return False


def _read_dotenv(folder: Path) -> ConfiguredApi | None:
    path = folder / ".env"
    if not path.is_file():
        return None
    line = re.compile(rf"\s*(?:export\s+)?{KEY}\s*=\s*(['\"]?)([^'\"#\s]*)\1")
    lines = enumerate(path.read_text(errors="replace").splitlines(), 1)
    addresses = [(number, match[2]) for number, text in lines if (match := line.match(text))]
    if not addresses:
        return None
    number, url = addresses[-1]  # of two lines the last one counts
    return ConfiguredApi(url, f"{path.name}:{number}", Place(path.name, number))


def _from_file(path: Path, keys: tuple[str, ...]) -> ConfiguredApi | None:
    url = _look_up(_read_toml(path, path.name), keys)
    if not url:
        return None
    place = Place(path.name, _line_number(path, keys, url))
    return ConfiguredApi(url, str(place), place)


def _read_profile(folder: Path) -> ConfiguredApi | None:
    path = _profiles_path(folder)
    data = _read_toml(path, str(path))
    name, url = _look_up_profile(data, KEY)
    if not url:
        return None
    line = _line_number(path, ("profiles", name, KEY), url)
    return ConfiguredApi(url, f"Prefect profile `{name}`", Place(str(path), line))


def _look_up_profile(data: object, setting: str) -> tuple[str, str | None]:
    """The active profile's name, and what it says of a setting."""
    name = os.environ.get("PREFECT_PROFILE") or _look_up(data, ("active",)) or ""
    return name, _look_up(data, ("profiles", name, setting))


def _profiles_path(folder: Path) -> Path:
    if "PREFECT_PROFILES_PATH" in os.environ:
        return own_profiles_path()
    for name, keys in (("prefect.toml", ()), ("pyproject.toml", ("tool", "prefect"))):
        if chosen_path := _look_up(_read_toml(folder / name, name), (*keys, "profiles_path")):
            return folder / chosen_path
    return own_profiles_path()


def _read_toml(path: Path, shown: str) -> dict[str, Any]:
    try:
        return tomllib.loads(read_regular_file(path).decode())
    except FileNotFoundError:
        return {}
    except OSError as error:
        what = f"the file cannot be read: {(error.strerror or str(error)).lower()}"
        raise DeclarationError(Fault(what, Place(shown))) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DeclarationError(Fault(f"no valid TOML: {error}", Place(shown))) from None


def _look_up(data: object, keys: tuple[str, ...]) -> str | None:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, str) else None


def _line_number(path: Path, keys: tuple[str, ...], value: str) -> int:
    """The line of a TOML file up to which it says a value; 0 where none can be told."""
    lines = read_regular_file(path).decode().splitlines()
    for number in (number for number, line in enumerate(lines, 1) if value in line):
        with suppress(tomllib.TOMLDecodeError):  # in the middle of a text or a list
            if _look_up(tomllib.loads("\n".join(lines[:number])), keys) == value:
                return number
    return 0

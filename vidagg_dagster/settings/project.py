"""A project folder: `.env` with the settings, and the home in which Dagster keeps its history.

`vidagg demo` makes one for the demo's events, `vidagg init` for a user's own; `vidagg ui` opens it.
"""

import os
from collections.abc import Mapping
from contextlib import chdir
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from vidagg_dagster.settings.load import load_settings
from vidagg_dagster.settings.model import Settings
from vidagg_dagster.settings.variables import ENV_FILE, PREFIX, given_variables

HOME_VARIABLE: Final = "DAGSTER_HOME"
DEFAULT_HOME: Final = "dagster_home"
CONFIGURATION: Final = "dagster.yaml"
SQLITE_STORAGE: Final = "sqlite-storage.yaml"


@dataclass(frozen=True)
class Project:
    """The settings of a folder, and the variables with which a process uses them anywhere."""

    settings: Settings
    home: Path
    environment: Mapping[str, str]


def open_project(folder: Path, *, isolated: bool = False) -> Project:
    """Read the settings of a folder, as Dagster reads them when it starts there.

    Args:
        folder: Where `.env` is, if there is one.
        isolated: Let no `VIDAGG_*` variable of this process in, and keep the home in the folder.

    Raises:
        SettingsError: It names every unknown or impossible setting.
    """
    from dotenv import dotenv_values

    if isolated:
        for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
            del os.environ[name]
        os.environ.pop(HOME_VARIABLE, None)
    with chdir(folder):
        settings, given = load_settings(), given_variables()
        written = {name: value for name, value in dotenv_values(ENV_FILE).items() if value}
        home = Path(
            written.get(HOME_VARIABLE) or os.environ.get(HOME_VARIABLE) or DEFAULT_HOME
        ).absolute()
        places = {
            "VIDAGG_SOURCE": _anywhere(settings.source),
            "VIDAGG_VIDEO_METADATA": _anywhere(settings.video_metadata),
            "VIDAGG_AUDIENCE": _anywhere(settings.audience),
            "VIDAGG_CHAPTERS": _anywhere(settings.chapters),
            "VIDAGG_USERS": _anywhere(settings.users),
            "VIDAGG_DATA_ROOT": str(settings.data_root),
            "VIDAGG_EXPERIMENTS_ASSIGNMENTS": str(settings.experiments.assignments or ""),
            HOME_VARIABLE: str(home),
        }
    environment = {**os.environ, **written, **given}
    return Project(settings, home, environment | {k: v for k, v in places.items() if v})


def write_settings(folder: Path, variables: Mapping[str, str], comment: str) -> Path:
    """Write `.env`; a value with blanks or quotes is quoted."""
    lines = [f"# {comment}", *(f"{name}={_quoted(value)}" for name, value in variables.items())]
    file = folder / ENV_FILE
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def make_home(home: Path) -> None:
    """Make Dagster's home with the shipped configuration, unless it has one already."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    configuration = home / CONFIGURATION
    if not configuration.exists():
        configuration.write_text(shipped_configuration(), encoding="utf-8")


def shipped_configuration() -> str:
    """The text of the `dagster.yaml` that comes with the package, for a home with SQLite."""
    shipped = resources.files("vidagg_dagster")
    return "".join(
        (shipped / name).read_text(encoding="utf-8") for name in (CONFIGURATION, SQLITE_STORAGE)
    )


def _anywhere(location: str | None) -> str:
    """A relative path as a whole one; names of tables and addresses stay as they are."""
    return str(Path(location).absolute()) if location and Path(location).exists() else ""


def _quoted(value: str) -> str:
    if value and all(letter.isalnum() or letter in "._-/:=,|+@" for letter in value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"

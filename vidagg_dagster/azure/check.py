"""The check of KQL: Microsoft's binder under Node, and a lint for what it lets through.

The binder comes from npm, once, into the cache folder of the user.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import TypeAdapter

from vidagg_dagster.core.errors import KqlCheckError

BINDER: Final = "@kusto/language-service-next"
BINDER_VERSION: Final = "12.4.1"
TIMEOUT_S: Final = 300

AZURE_TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "customEvents": {
        "timestamp": "datetime",
        "name": "string",
        "itemType": "string",
        "customDimensions": "dynamic",
        "customMeasurements": "dynamic",
        "operation_Id": "string",
        "session_Id": "string",
        "user_Id": "string",
        "user_AuthenticatedId": "string",
        "itemCount": "int",
        "itemId": "string",
    },
    "AppEvents": {
        "TimeGenerated": "datetime",
        "Name": "string",
        "Properties": "dynamic",
        "Measurements": "dynamic",
        "OperationId": "string",
        "SessionId": "string",
        "UserId": "string",
        "UserAuthenticatedId": "string",
        "ItemCount": "int",
        "_BilledSize": "real",
        "_ResourceId": "string",
    },
}
"""The tables of Azure that queries may read, with the columns that matter here."""


class Finding(NamedTuple):
    """Something wrong in a text; `code` is Microsoft's, or MONITOR or UNSORTED of the lint."""

    line: int
    column: int
    code: str
    message: str


class Checked(NamedTuple):
    """A checked text: what is wrong, and the columns of its result as (name, KQL type)."""

    findings: list[Finding]
    columns: list[tuple[str, str]]


class _Answer(NamedTuple):
    findings: list[dict[str, int | str]]
    columns: list[tuple[str, str]]


_ANSWERS: Final = TypeAdapter(dict[str, _Answer])


def check(
    texts: Mapping[str, str], tables: Mapping[str, Mapping[str, str]] = AZURE_TABLES
) -> dict[str, Checked]:
    """Check texts by name; `tables` are those they may read, with columns and KQL types.

    Raises:
        KqlCheckError: There is no Node, the binder cannot be installed, or it does not answer.
    """
    folder = binder_folder()
    with as_file(files(__package__) / "kql" / "check.js") as script:
        done = _run(
            [_program("node"), str(script)],
            json.dumps({"tables": tables, "texts": texts}),
            {"NODE_PATH": str(folder / "node_modules")},
        )
    return {
        name: Checked([Finding(**one) for one in answer.findings], answer.columns)  # type: ignore[arg-type]
        for name, answer in _ANSWERS.validate_json(done).items()
    }


def binder_folder() -> Path:
    """The folder with the binder, which is installed there unless it is.

    Raises:
        KqlCheckError: There is no npm, or it cannot install the binder.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vidagg"
    folder = cache / f"kql-binder-{BINDER_VERSION}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=cache))
        try:
            _install(draft)
            draft.replace(folder)
        except OSError:
            # Another process was faster.
            if not folder.is_dir():
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return folder


def _install(folder: Path) -> None:
    options = ("--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--silent")
    command = [_program("npm"), "install", *options, "--prefix", str(folder)]
    _run([*command, f"{BINDER}@{BINDER_VERSION}"], "", {})


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise KqlCheckError(
            f"There is no {name} in PATH. Microsoft's checker of KQL runs under Node: install "
            "Node 18 or newer with npm."
        )
    return path


def _run(command: list[str], said: str, environment: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            command,
            input=said,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise KqlCheckError(f"{Path(command[0]).name} took more than {TIMEOUT_S} s.") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        reason = "; ".join(lines[-3:]) or f"exit code {done.returncode}"
        raise KqlCheckError(
            f"{Path(command[0]).name} failed while checking KQL ({BINDER} {BINDER_VERSION}): "
            f"{reason}"
        )
    return done.stdout

"""Where the code of an asset is, for people who read this checkout in an editor."""

import os
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from inspect import getfile, getsourcelines
from pathlib import Path
from typing import Any, Final

import dagster as dg

CODE_REFERENCES: Final = "dagster/code_references"
_IN_DEVELOPMENT: Final = "DAGSTER_IS_DEV_CLI"
"""Set by `dagster dev`, `dg dev` and so by `vidagg ui`. There browser and files are on one machine;
elsewhere a path of a server would lead nowhere."""


def code_references(place: Callable[..., object] | str) -> dict[str, Any]:
    """Metadata that leads from the page of an asset to what computes it; empty on a server.

    `place` is a function, or the name of a module, which is not imported for it.
    """
    if not os.environ.get(_IN_DEVELOPMENT):
        return {}
    file, line = _position(place)
    with warnings.catch_warnings():
        # In beta for years, and each asset would warn at each start of the UI.
        warnings.simplefilter("ignore", dg.BetaWarning)
        reference = dg.LocalFileCodeReference(
            file_path=str(file.absolute()), line_number=line, label="/".join(file.parts[-2:])
        )
        return {CODE_REFERENCES: dg.CodeReferencesMetadataValue(code_references=[reference])}


def _position(place: Callable[..., object] | str) -> tuple[Path, int]:
    if callable(place):
        return Path(getfile(place)), getsourcelines(place)[1]
    found = find_spec(place)
    if found is None or found.origin is None:
        raise LookupError(place)
    return Path(found.origin), 1

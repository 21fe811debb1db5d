"""Where the code of an asset is, for people who read this checkout in an editor."""

import os
import warnings
from inspect import getfile, getsourcelines
from pathlib import Path
from typing import Any, Final

import dagster as dg

from vidagg_dagster.core.contract import StepName
from vidagg_dagster.pipeline.steps import STEPS

CODE_REFERENCES: Final = "dagster/code_references"
_IN_DEVELOPMENT: Final = "DAGSTER_IS_DEV_CLI"
"""Set by `dagster dev`, `dg dev` and so by `vidagg ui`. There browser and files are on one machine;
elsewhere a path of a server would lead nowhere."""


def code_references(step: StepName) -> dict[str, Any]:
    """Metadata that leads from the page of an asset to what computes it; empty on a server."""
    if not os.environ.get(_IN_DEVELOPMENT):
        return {}
    compute = STEPS[step].compute
    with warnings.catch_warnings():
        # In beta for years, and each asset would warn at each start of the UI.
        warnings.simplefilter("ignore", dg.BetaWarning)
        reference = dg.LocalFileCodeReference(
            file_path=str(Path(getfile(compute)).absolute()),
            line_number=getsourcelines(compute)[1],
            label="/".join(Path(getfile(compute)).parts[-2:]),
        )
        return {CODE_REFERENCES: dg.CodeReferencesMetadataValue(code_references=[reference])}

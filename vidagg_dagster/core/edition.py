"""By which rules rows are computed: the edition of the arithmetic, and the settings that count."""

import hashlib
import json
from typing import Final

from vidagg_dagster.core.parameters import EngagementParameters

EDITION: Final = 2
"""The edition of docs/metrics.md: raised with every change that gives an input another row."""


def rules_of(parameters: EngagementParameters, timezone: str, *, estimates: bool) -> str:
    """The edition, and a digest of the settings by which rows are computed, such as `2-3f9a12c0`.

    Rows of equal events are equal where this is.

    Args:
        parameters: the thresholds.
        timezone: the zone whose calendar days are the days.
        estimates: whether missing durations are estimated.
    """
    # Without defaults: a threshold that a later version adds is not another rule by itself.
    changed = parameters.model_dump(mode="json", exclude_defaults=True)
    settings = [changed, timezone, estimates]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return f"{EDITION}-{digest[:8]}"

"""The settings: `VIDAGG_*` variables and `.env`, validated as a whole.

Importing this package reads nothing; `load_settings()` reads.
"""

from vidagg_dagster.settings.load import load_settings
from vidagg_dagster.settings.model import Settings

__all__ = ["Settings", "load_settings"]

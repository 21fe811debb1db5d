"""Live tables are written every few seconds: they are kept small on the way."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from vidagg_dagster.core.contract import LIVE_NOTES
from vidagg_dagster.core.schemas import LIVE_TABLES
from vidagg_dagster.tables.maintenance import keep_small

BETWEEN: Final = timedelta(minutes=10)
"""A batch every five seconds leaves 120 versions in that time."""

HISTORY_HOURS: Final = 1
"""How long a reader may take for a version that has been replaced."""

_MARK: Final = "kept_small_at"


def keep_live_tables_small(root: Path, now: datetime) -> bool:
    """Compact the tables and remove what no version of the last hour needs, if it is time.

    Returns:
        Whether it was time.
    """
    mark = root / LIVE_NOTES / _MARK
    try:
        last = datetime.fromisoformat(mark.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        last = None
    if last is not None and timedelta() <= now - last < BETWEEN:
        return False
    for table in LIVE_TABLES.values():
        if (root / table.name / "_delta_log").is_dir():
            keep_small(root / table.name, table, HISTORY_HOURS)
    mark.parent.mkdir(exist_ok=True)
    mark.write_text(now.isoformat(), encoding="utf-8")
    return True

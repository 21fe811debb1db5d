"""What the schedule of a day says of its runs."""

from vidagg_dagster.defs.schedules import BEFORE_BACKFILLS, PRIORITY_TAG, daily_schedule
from vidagg_dagster.settings import Settings


def test_the_run_of_the_night_goes_before_a_backfill_that_waits() -> None:
    tags = daily_schedule(Settings()).tags
    assert tags is not None
    assert tags[PRIORITY_TAG] == BEFORE_BACKFILLS
    assert int(BEFORE_BACKFILLS) > 0, "runs without the tag have priority 0"

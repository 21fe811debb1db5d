"""Who is in which arm, and what counts for each unit."""

from typing import Any

import pyarrow as pa
import pytest

from vidagg_dagster.insight.experiments.assignment import assignments
from vidagg_dagster.insight.experiments.plan import Plan
from vidagg_dagster.insight.experiments.units import BEFORE, by_cluster, unit_rows
from vidagg_dagster_tests.support.experiments import (
    ASSIGNMENT,
    DURATIONS,
    assigned,
    days,
    exposure,
    interval,
    intervals,
)

PLAN = Plan(window_days=7, covariate_days=7)
LATER = int(days(100).timestamp() * 1e6)


def rows_of(
    exposures: list[dict[str, Any]], watched: list[dict[str, Any]], until: int = LATER
) -> dict[str, dict[str, Any]]:
    units = unit_rows(assigned(*exposures).units, intervals(*watched), DURATIONS, PLAN, until)
    return {row["unitId"]: row for row in units.rows.to_pylist()}


def test_a_repeated_exposure_keeps_the_first_and_is_counted() -> None:
    found = assigned(exposure("u", "control", 2), exposure("u", "control", 1))
    assert found.units["exposedAt"].to_pylist() == [days(1)]
    assert (found.rows, found.repeated, found.in_two_arms) == (2, 1, ())


def test_a_unit_in_two_arms_is_listed_and_in_none() -> None:
    found = assigned(
        exposure("u", "control"), exposure("u", "treatment", 1), exposure("v", "control")
    )
    assert found.in_two_arms == ("u",)
    assert found.units["unitId"].to_pylist() == ["v"]


def test_a_cluster_in_two_arms_takes_all_its_units_out() -> None:
    found = assigned(
        exposure("a", "control", cluster="x"),
        exposure("b", "treatment", cluster="x"),
        exposure("c", "treatment", cluster="y"),
        exposure("d", "treatment"),
    )
    assert found.in_two_arms == ("a", "b", "d"), "d has no cluster"
    assert found.units["unitId"].to_pylist() == ["c"]
    assert found.clustered


def test_rows_that_cannot_be_used_are_counted_by_reason() -> None:
    rows = [
        exposure("u", "control"),
        exposure(" ", "control"),
        {**exposure("v", "control"), "exposedAt": None},
        exposure("w", "control", experiment="../secret"),
    ]
    found = assignments(pa.Table.from_pylist(rows, schema=ASSIGNMENT))
    assert [one.experiment for one in found.experiments] == ["player-2"]
    assert sum(found.unusable.values()) == 3
    assert {"no usable unitId", "no usable exposedAt"} <= set(found.unusable)


def test_only_what_closes_after_the_exposure_and_within_the_window_counts() -> None:
    watched = [
        interval("u", -8, end=1),  # before the days that are compared with
        interval("u", -7, end=2),  # exactly as long ago: outside
        interval("u", -6.9, end=4),
        interval("u", 0, end=8),  # in the moment of the exposure: before
        interval("u", 0.001, end=16),
        interval("u", 7, end=32),  # in the last moment of the window
        interval("u", 7.001, end=64),
        interval("nobody", 1, end=50),
    ]
    row = rows_of([exposure("u", "control")], watched)["u"]
    assert row["watchSeconds"] == 16 + 32
    assert row[f"{BEFORE}watchSeconds"] == 4 + 8


def test_who_watched_nothing_is_a_row_of_zeros() -> None:
    row = rows_of([exposure("u", "control")], [])["u"]
    assert row["watchSeconds"] == row["active"] == row["videosStarted"] == 0
    assert row["units"] == 1


def test_figures_worked_out_by_hand() -> None:
    watched = [
        interval("u", 1, start=0, end=60),
        interval("u", 1.1, start=40, end=80, evidence="clipped"),  # a: 80 of 100 s seen
        interval("u", 1.2, start=0, end=10, session="t"),
        interval("u", 2, video="b", start=0, end=20),  # b: 20 of 50 s
        interval("u", 3, video="live", start=0, end=30),  # no known duration
    ]
    row = rows_of([exposure("u", "control")], watched)["u"]
    assert {name: row[name] for name in row if not name.startswith(BEFORE)} == {
        "unitId": "u",
        "variant": "control",
        "clusterId": None,
        "units": 1,
        "watchSeconds": 160,
        "uniqueSeconds": 130,
        "clippedSeconds": 40,
        "starts": 4,
        "videosStarted": 3,
        "active": 1,
        "videosOffered": 2,
        "completed": 1,
        "offeredSeconds": 150,
        "coveredSeconds": 100,
    }


def test_the_columns_add_up_to_the_lifetime_of_the_intervals() -> None:
    """A window that holds everything gives the sums of all intervals, whatever their order."""
    watched = [
        interval(user, 0.1 + n % 6, start=n, end=n + 5, video="ab"[n % 2])
        for n, user in enumerate(["u", "v", "w"] * 7)
    ]
    exposures = [exposure(user, "control") for user in "uvw"]
    found = rows_of(exposures, watched)
    assert sum(row["watchSeconds"] for row in found.values()) == 21 * 5
    assert rows_of(exposures, watched[::-1]) == found


def test_a_unit_waits_until_its_window_is_over() -> None:
    exposures = [exposure("u", "control", 0), exposure("v", "control", 1)]
    until = int(days(7).timestamp() * 1e6)
    units = unit_rows(assigned(*exposures).units, intervals(), DURATIONS, PLAN, until)
    assert units.rows["unitId"].to_pylist() == ["u"]
    assert units.waiting == 1


def test_days_since_the_exposure_hold_all_watching() -> None:
    watched = [interval("u", 0.5, end=3), interval("u", 1, end=4), interval("u", 7, end=5)]
    units = unit_rows(
        assigned(exposure("u", "control")).units, intervals(*watched), DURATIONS, PLAN, LATER
    )
    assert units.daily.tolist() == [[7, 0, 0, 0, 0, 0, 5]]


def test_clusters_are_the_sums_of_their_units() -> None:
    exposures = [exposure("u", "control", cluster="x"), exposure("v", "control", cluster="x")]
    units = unit_rows(
        assigned(*exposures).units,
        intervals(interval("u", 1, end=3), interval("u", -1, end=9)),
        DURATIONS,
        PLAN,
        LATER,
    )
    (row,) = by_cluster(units.rows).to_pylist()
    assert (row["clusterId"], row["units"]) == ("x", 2)
    assert (row["watchSeconds"], row[f"{BEFORE}watchSeconds"]) == (3, 9)


@pytest.mark.parametrize("variant", ["control", "treatment"])
def test_no_unit_ready_is_an_empty_table(variant: str) -> None:
    units = unit_rows(assigned(exposure("u", variant)).units, intervals(), DURATIONS, PLAN, 0)
    assert (units.rows.num_rows, units.waiting) == (0, 1)

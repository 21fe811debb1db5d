"""What is a landmark, what is known at it, and what is not yet."""

from typing import Any

import numpy as np
import pyarrow as pa

from vidagg_dagster.insight.completion.landmarks import DAY_US, History, Landmarks, history
from vidagg_dagster_tests.support.completions import (
    THRESHOLD,
    durations_of,
    intervals_of,
    site,
    until_us,
)

LATER = until_us(100)


def of(*rows: tuple[Any, ...], until: int = LATER) -> History:
    """Rows of user, video, session, seconds from and to, day."""
    names = ("user", "video", "session", "start", "end", "day")
    columns = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    return history(intervals_of(columns), durations_of(2), THRESHOLD, until)


def rests(found: History) -> list[tuple[float, int, float]]:
    """Day, days of idleness and coverage of each landmark."""
    marks = found.landmarks
    days = (marks.at_us - until_us(0)) / DAY_US
    return sorted(zip(days.tolist(), marks.idle.tolist(), marks.coverage.tolist(), strict=True))


def test_each_visit_is_a_landmark_and_its_rest_again_after_some_days() -> None:
    found = of(("u", 0, "a", 0, 200, 1), ("u", 0, "b", 100, 400, 5), ("u", 0, "c", 400, 900, 5.5))
    assert rests(found) == [
        (1, 0, 20),
        (2, 1, 20),
        (4, 3, 20),
        (5, 0, 40),
    ], "the third visit completes; the second rest lasts half a day"
    assert found.pairs.completed.tolist() == [True]
    assert found.landmarks.visits.tolist() == [1, 2, 1, 1]


def test_only_28_days_count() -> None:
    found = of(("u", 0, "a", 0, 200, 1), ("u", 0, "b", 200, 900, 29))
    assert found.pairs.completed.tolist() == [False]
    assert found.pairs.final.tolist() == [20]
    assert rests(found)[-1] == (15, 14, 20)


def test_what_is_not_over_is_not_known() -> None:
    rows = (("u", 0, "a", 0, 200, 1), ("v", 0, "b", 0, 200, 2.5))
    found = of(*rows, until=until_us(30))
    assert found.pairs.known.tolist() == [True, False]
    marks = found.landmarks
    still = marks.resting_still
    assert marks.pair[still].tolist() == [1], "the window of the first pair is over"
    assert marks.idle[still].tolist() == [14]


def test_the_user_s_other_videos_count_as_they_are_by_then() -> None:
    found = of(
        ("u", 0, "a", 0, 200, 1),
        ("u", 1, "b", 0, 100, 2),
        ("u", 1, "c", 100, 800, 3),
        ("v", 1, "d", 0, 800, 0),
    )
    marks = found.landmarks
    first = marks.pair == 0
    told = zip(
        marks.idle[first].tolist(),
        marks.user_started[first].tolist(),
        marks.user_completed[first].tolist(),
        strict=True,
    )
    assert list(told) == [(0, 0, 0), (1, 1, 0), (3, 1, 1), (7, 1, 1), (14, 1, 1)]


def test_videos_without_a_duration_are_left_out() -> None:
    found = of(("u", 0, "a", 0, 200, 1), ("u", "live", "a", 0, 200, 1))
    assert len(found.pairs.video) == 1


def test_nothing_is_nothing() -> None:
    found = of()
    assert len(found.pairs.video) == len(found.landmarks.pair) == 0


def test_nothing_after_a_landmark_changes_what_is_known_at_it() -> None:
    """Whatever is closed after it is shuffled or taken away: its description stays."""
    rows = site(5, 2, 60, 20).intervals
    whole = history(rows, durations_of(2), THRESHOLD, LATER)
    for row in range(0, len(whole.landmarks.pair), 7):
        moment = int(whole.landmarks.at_us[row])
        for other in (_cut(rows, moment), _shuffled_after(rows, moment)):
            found = history(other, durations_of(2), THRESHOLD, LATER)
            assert _described(whole, row) in [
                _described(found, n) for n in range(len(found.landmarks.pair))
            ]


def _described(found: History, row: int) -> tuple[Any, ...]:
    marks = found.landmarks
    pair = marks.pair[row]
    known = [name for name in Landmarks._fields if name not in ("pair", "resting_still")]
    who = found.users[int(found.pairs.user[pair])].as_py()
    return (
        who,
        int(found.pairs.video[pair]),
        *[float(getattr(marks, name)[row]) for name in known],
    )


def _cut(rows: pa.Table, moment: int) -> pa.Table:
    return rows.filter(pa.array(rows["closedAt"].cast(pa.int64()).to_numpy() <= moment))


def _shuffled_after(rows: pa.Table, moment: int) -> pa.Table:
    """Who watched what after the moment is dealt out anew among all that comes after it.

    Rests end at other times then; only the landmark itself, a moment that nothing has followed by
    then, is compared.
    """
    after = np.flatnonzero(rows["closedAt"].cast(pa.int64()).to_numpy() > moment)
    place = np.arange(rows.num_rows)
    place[after] = np.random.default_rng(0).permutation(after)
    spans = rows.select(["startMs", "endMs"]).take(pa.array(place))
    for name in ("startMs", "endMs"):
        rows = rows.set_column(rows.schema.get_field_index(name), name, spans[name])
    return rows

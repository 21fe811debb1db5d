"""Recorded sessions, told in some vocabularies, give the rows of our own events."""

import pytest
from pyspark.sql import SparkSession

from recordings.trackers import told
from vidagg_dagster_tests.support.vocabulary_twins import (
    TRANSLATIONS,
    Translation,
    rows,
    rows_understood,
)

SOME = ("mux", "jwplayer")
"""The slow lane has all, and all sessions."""

SESSIONS = ("c06_drag_back_playing", "c19_script_seeks", "f28_speed_change_heartbeats")


def test_some_sessions_in_some_vocabularies_give_the_rows_of_our_events(
    sail: SparkSession,
) -> None:
    events = [row for session in SESSIONS for row in told(session)]
    expected = rows_understood(sail, SOME, events)
    for name in SOME:
        translation = TRANSLATIONS[name]
        found = rows(sail, translation.records(events), translation.vocabulary)
        assert len(expected[name]) > 1
        assert found.rows.to_pylist() == expected[name], name


@pytest.mark.parametrize("translation", TRANSLATIONS.values(), ids=TRANSLATIONS)
def test_a_translation_leaves_out_nothing_but_what_it_cannot_tell(translation: Translation) -> None:
    events = told()
    understood = translation.understood(events)
    openings = len({translation.session(row) for row in events}) * bool(translation.opening)
    assert len(translation.records(events)) == len(understood) + openings
    told_of = {row["eventId"] for row in events if row["eventName"] in translation.names}
    assert len(understood) == len(told_of)
    assert {"video_play", "video_resume", "video_pause"} <= translation.names.keys()

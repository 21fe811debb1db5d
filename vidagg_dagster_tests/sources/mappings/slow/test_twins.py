"""One viewer in two vocabularies, the second one written by the code of others: the same events."""

import json
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from ralph.models.converter import convert_dict_event
from ralph.models.edx.converters.xapi.video import (
    UILoadVideoToVideoInitialized,
    UIPauseVideoToVideoPaused,
    UIPlayVideoToVideoPlayed,
    UISeekVideoToVideoSeeked,
    UIStopVideoToVideoTerminated,
)

from vidagg_dagster_tests.sources.mappings.test_vocabularies import classified, told
from vidagg_dagster_tests.support.source_files import write

CONVERTERS: dict[str, Any] = {
    "load_video": UILoadVideoToVideoInitialized,
    "play_video": UIPlayVideoToVideoPlayed,
    "pause_video": UIPauseVideoToVideoPaused,
    "seek_video": UISeekVideoToVideoSeeked,
    "stop_video": UIStopVideoToVideoTerminated,
}
NAMESPACE = "ee241f8b-174f-5bdb-bae9-c09de5fe017f"
BEGIN = datetime(2024, 5, 6, 8, tzinfo=UTC)


def viewer(seed: int) -> Iterator[tuple[str, datetime, dict[str, Any]]]:
    """Events of a browser: name, time, and what `event` says of the player."""
    dice = random.Random(seed)
    now, position, playing = BEGIN, 0.0, False
    yield "load_video", now, {}
    for _ in range(40):
        seconds = round(dice.uniform(0.2, 40), 3)
        now += timedelta(seconds=seconds)
        position = round(position + seconds * playing, 3)
        name = dice.choice(("seek_video", "stop_video", "pause_video") if playing else
                           ("seek_video", "play_video", "play_video"))  # fmt: skip
        if name == "seek_video":
            target = round(dice.uniform(0, 300), 3)
            yield name, now, {"old_time": position, "new_time": target, "type": "onSlideSeek"}
            position = target
            continue
        yield name, now, {"currentTime": position}
        playing = name == "play_video"


def edx_event(name: str, time: datetime, player: dict[str, Any]) -> dict[str, Any]:
    context = {"course_id": "course-v1:U+C+R", "course_user_tags": {}, "module": {},
               "org_id": "U", "path": "/event", "user_id": 41}  # fmt: skip
    return {
        "name": name,
        "event_type": name,
        "event_source": "browser",
        "time": time.isoformat(timespec="microseconds"),
        "username": "ada_l",
        "session": "a" * 32,
        "agent": "Mozilla/5.0",
        "page": "https://lms.example.com/courses/1",
        "context": context,
        "event": {"id": "vid1", "code": "html5", **player},
    }


@pytest.mark.parametrize("seed", range(4))
def test_a_tracking_log_and_its_statements_by_ralph_are_the_same_events(
    sail: SparkSession, tmp_path: Path, seed: int
) -> None:
    events = [edx_event(*told_by) for told_by in viewer(seed)]
    log = [json.dumps({**event, "event": json.dumps(event["event"])}) for event in events]
    statements = [
        convert_dict_event(
            event, line, CONVERTERS[event["name"]](NAMESPACE, "https://lms.example.com")
        ).model_dump_json(by_alias=True, exclude_none=True)
        for event, line in zip(events, log, strict=True)
    ]
    of_edx = told(classified(sail, write(tmp_path / "edx.jsonl", log), "edx"))
    of_xapi = told(classified(sail, write(tmp_path / "xapi.jsonl", statements), "xapi"))
    # Statements name the block and write a session as a UUID, and `terminated` is any end of it.
    others = {
        "course-v1:U+C+R|vid1": "https://lms.example.com/xblock/block-v1:course-v1:U+C+R-course-v1:"
        "+type@video+block@vid1",
        "a" * 32: str(uuid.UUID("a" * 32)),
        "video_ended": "video_pause",
    }
    for ours, theirs in others.items():
        of_edx = [line.replace(ours, theirs) for line in of_edx]
    assert of_xapi == of_edx
    assert len(of_xapi) == len(events)

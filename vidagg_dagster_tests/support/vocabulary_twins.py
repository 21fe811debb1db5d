"""The events of a player as other vocabularies tell them: the recorded sessions, translated.

A translation is written from the specification of a vocabulary, not from our mapping of it.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pyspark.sql import SparkSession

from recordings.files import Json
from recordings.recorded import VIDEOS, recorded_until, written
from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.core.vocabulary import EVENT_NAMES
from vidagg_dagster.pipeline.batch import Aggregation, aggregate_files
from vidagg_dagster.sources.mappings.vocabularies import find_mapping

Names = Mapping[str, str]
Value = Callable[[float], float]


def exact(number: float) -> float:
    """A place that is told as it is."""
    return number


def in_whole_ms(seconds: float) -> float:
    """A place that is told in milliseconds."""
    return round(1000 * seconds) / 1000


def in_whole_s(seconds: float) -> float:
    """A place that is cut to seconds."""
    return math.floor(seconds)


@dataclass(frozen=True)
class Translation:
    """How a vocabulary tells the events of a player, and what it cannot tell."""

    vocabulary: str
    names: Names
    """Our name of an event -> theirs. What is not among them they cannot tell."""
    record: Callable[[Json, str], Json]
    """Our event and their name of it -> their record."""
    becomes: Names = field(default_factory=dict)
    """Our name of an event -> the one that is left of it, where they have one name for two."""
    place: Value = exact
    rates: frozenset[str] = frozenset()
    """Our names of the events that tell the rate."""
    origins: frozenset[str] = frozenset()
    """Our names of the events that tell where a seek began."""
    session: Callable[[Json], str] = lambda event: str(event["sessionId"])
    with_id: bool = True
    opening: Callable[[Json], Json] | None = None
    """The first event of a session -> a record before it."""

    def records(self, events: Iterable[Json]) -> list[Json]:
        """The events as their records."""
        records = []
        opened = set()
        for row in self._can_tell(events):
            if self.opening is not None and self.session(row) not in opened:
                opened.add(self.session(row))
                records.append(self.opening(row))
            records.append(self.record(row, self.names[row["eventName"]]))
        return records

    def understood(self, events: Iterable[Json]) -> list[Json]:
        """The events as ours, without what the vocabulary cannot tell."""
        return [self._understood(row) for row in self._can_tell(events)]

    def _can_tell(self, events: Iterable[Json]) -> list[Json]:
        return [row for row in events if row["eventName"] in self.names]

    def _understood(self, event: Json) -> Json:
        name = event["eventName"]
        origin = event.get("seekFrom") if name in self.origins else None
        return event | {
            "sessionId": self.session(event),
            "eventName": self.becomes.get(name, name),
            "currentTime": self.place(event["currentTime"]),
            "playbackRate": event["playbackRate"] if name in self.rates else None,
            "seekFrom": None if origin is None else self.place(origin),
            "eventId": event["eventId"] if self.with_id else None,
        }


def _without_nulls(record: Json) -> Json:
    return {name: value for name, value in record.items() if value is not None}


def _epoch_ms(event: Json) -> int:
    return round(datetime.fromisoformat(event["timestamp"]).timestamp() * 1000)


def _of_a_view(event: Json) -> str:
    """The session of a vocabulary whose sessions are of one video."""
    return f"{event['sessionId']}/{event['videoId']}"


def _iso(seconds: float | None) -> str | None:
    """An ISO 8601 duration."""
    if seconds is None:
        return None
    minutes, rest = divmod(round(1000 * seconds), 60_000)
    return f"PT{minutes}M{rest / 1000:g}S"


def _html5(event: Json, name: str) -> Json:
    """As a page logs what the element fires."""
    return {
        "time": event["timestamp"],
        "user": event["userId"],
        "session": event["sessionId"],
        "video": event["videoId"],
        "type": name,
        "currentTime": event["currentTime"],
        "playbackRate": event["playbackRate"],
        "event_id": event["eventId"],
    }


def _custom_event(event: Json, name: str) -> Json:
    """A row of `customEvents`: dimensions are text, in a text; numbers are measurements."""
    return {
        "timestamp": event["timestamp"].replace("Z", "0000Z"),
        "name": name,
        "itemId": event["eventId"],
        "itemType": "customEvent",
        "itemCount": 1,
        "user_Id": "cookie",
        "session_Id": "cookie",
        "customDimensions": {
            "userId": event["userId"],
            "sessionId": event["sessionId"],
            "videoId": event["videoId"],
        },
        "customMeasurements": _numbers(event),
    }


def _numbers(event: Json) -> Json:
    columns = ("currentTime", "playbackRate", "seekFrom")
    return _without_nulls({name: event.get(name) for name in columns})


def _app_event(event: Json, name: str) -> Json:
    """A row of `AppEvents` as a data export rule writes it."""
    ids = {name: event[name] for name in ("userId", "sessionId", "videoId", "eventId")}
    return {
        "TimeGenerated": event["timestamp"].replace("Z", "0000Z"),
        "Name": name,
        "Properties": ids,
        "Measurements": _numbers(event),
        "UserId": "cookie",
        "SessionId": "cookie",
        "ItemCount": 1,
        "Type": "AppEvents",
    }


def _segment(event: Json, name: str) -> Json:
    """A call of `track`. Its places are whole seconds; a seek begins where the player was."""
    place, origin = in_whole_s(event["currentTime"]), event.get("seekFrom")
    properties: Json = {"session_id": event["sessionId"], "position": place, "sound": 80}
    if event["eventName"] == "video_seeking":
        properties["seek_position"] = place
        properties["position"] = None if origin is None else in_whole_s(origin)
    if event["eventName"] == "video_play":
        properties["content_asset_ids"] = [event["videoId"]]
    elif event["eventName"] == "video_progress":
        properties["asset_id"] = event["videoId"]
    else:
        properties["content_asset_id"] = event["videoId"]
    return {
        "type": "track",
        "event": name,
        "anonymousId": "cookie",
        "userId": event["userId"],
        "messageId": event["eventId"],
        "timestamp": event["timestamp"],
        "properties": properties,
    }


def _edx(event: Json, name: str) -> Json:
    """A line of the tracking log: what the player told is JSON in a text."""
    place = event["currentTime"]
    told: Json = {"id": event["videoId"], "code": "html5"}
    if name == "seek_video":
        told |= {"old_time": event.get("seekFrom"), "new_time": place, "type": "onSlideSeek"}
    elif name == "speed_change_video":
        told |= {"current_time": place, "old_speed": "1.0", "new_speed": str(event["playbackRate"])}
    else:
        told |= {"currentTime": place}
    return {
        "name": name,
        "event_type": name,
        "event_source": "browser",
        "time": event["timestamp"].replace("Z", "000+00:00"),
        "username": event["userId"],
        "session": event["sessionId"],
        "context": {"user_id": None, "org_id": "U"},
        "event": json.dumps(told),
    }


_XAPI: Final = "https://w3id.org/xapi/video/extensions/"


def _xapi(event: Json, name: str) -> Json:
    """A statement of the video profile."""
    place, origin = event["currentTime"], event.get("seekFrom")
    result: Json = {f"{_XAPI}time": place}
    if name.endswith("seeked"):
        result = {f"{_XAPI}time-from": origin, f"{_XAPI}time-to": place}
    return {
        "id": event["eventId"],
        "actor": {"account": {"homePage": "https://lms.example.com", "name": event["userId"]}},
        "verb": {"id": name},
        "object": {"id": event["videoId"], "definition": {"type": "video"}},
        "result": {"extensions": _without_nulls(result)},
        "context": {
            "extensions": {
                f"{_XAPI}session-id": event["sessionId"],
                f"{_XAPI}speed": f"{event['playbackRate']}x",
            }
        },
        "timestamp": event["timestamp"],
    }


def _caliper(event: Json, name: str) -> Json:
    """A media event; places are durations."""
    jumped: Json = {
        "old_time": _iso(event.get("seekFrom")),
        "new_time": _iso(event["currentTime"]),
    }
    return {
        "id": event["eventId"],
        "type": "MediaEvent",
        "action": name,
        "actor": {"id": event["userId"], "type": "Person"},
        "object": {
            "id": event["videoId"],
            "type": "VideoObject",
            "extensions": _without_nulls(jumped) if name == "JumpedTo" else {},
        },
        "target": {"type": "MediaLocation", "currentTime": _iso(event["currentTime"])},
        "session": {"id": event["sessionId"], "type": "Session"},
        "eventTime": event["timestamp"],
    }


def _snowplow(event: Json, name: str) -> Json:
    """A row of a warehouse, version 2: the player and its session are contexts."""
    return {
        "event_id": event["eventId"],
        "event_name": name,
        "derived_tstamp": event["timestamp"].replace("T", " ").removesuffix("Z"),
        "user_id": event["userId"],
        "domain_userid": "cookie",
        "domain_sessionid": "cookie",
        "contexts_com_snowplowanalytics_snowplow_media_session_1": [
            {"media_session_id": event["sessionId"]}
        ],
        "contexts_com_snowplowanalytics_snowplow_media_player_2": [
            {
                "label": event["videoId"],
                "current_time": event["currentTime"],
                "playback_rate": event["playbackRate"],
            }
        ],
    }


def _snowplow_1(event: Json, name: str) -> Json:
    """A row of a warehouse, version 1: one name of all events, whose kind is in the event."""
    return {
        "event_id": event["eventId"],
        "event_name": "media_player_event",
        "derived_tstamp": event["timestamp"].replace("T", " ").removesuffix("Z"),
        "user_id": event["userId"],
        "domain_userid": "cookie",
        "domain_sessionid": event["sessionId"],
        "unstruct_event_com_snowplowanalytics_snowplow_media_player_event_1": {
            "type": name,
            "label": None,
        },
        "contexts_com_snowplowanalytics_snowplow_media_player_1": [
            {"current_time": event["currentTime"], "playback_rate": event["playbackRate"]}
        ],
        "contexts_org_whatwg_media_element_1": [{"html_id": event["videoId"]}],
    }


def _mux(event: Json, name: str) -> Json:
    """A view with one event; a view is of one video."""
    return {
        "view_id": _of_a_view(event),
        "mux_viewer_id": "cookie",
        "viewer_user_id": event["userId"],
        "video_id": event["videoId"],
        "events": [
            {
                "type": name,
                "viewer_time": event["timestamp"],
                "server_time": "2026-11-27T12:00:00Z",
                "playhead_time": f"{in_whole_ms(event['currentTime'])}s",
            }
        ],
    }


def _adobe(event: Json, name: str) -> Json:
    """A call of the Media Collection API, logged with the session of its address."""
    return {
        "sid": _of_a_view(event),
        "eventType": name,
        "playerTime": {"playhead": event["currentTime"], "ts": _epoch_ms(event)},
    }


def _adobe_start(event: Json) -> Json:
    """The call that alone says who watches what."""
    told = {"media.id": event["videoId"], "analytics.visitorId": event["userId"]}
    return _adobe(event, "sessionStart") | {"params": told}


def _kaltura(event: Json, name: str) -> Json:
    """A call of the collector, with the time of its arrival."""
    place: Json = {"position": event["currentTime"]}
    if event["eventName"] == "video_seek":
        place = {"position": event.get("seekFrom"), "targetPosition": event["currentTime"]}
    return {
        "time": _epoch_ms(event) / 1000,
        "eventType": int(name),
        "sessionId": event["sessionId"],
        "entryId": event["videoId"],
        "userId": event["userId"],
        "playbackSpeed": event["playbackRate"],
        **place,
    }


def _jwplayer(event: Json, name: str) -> Json:
    """What a page logs of JW Player: `seek` tells from where, and its offset where to."""
    place: Json = {"position": event["currentTime"]}
    if name == "seek":
        place = {"position": event.get("seekFrom"), "offset": event["currentTime"]}
    return {
        "ts": event["timestamp"],
        "user": event["userId"],
        "session": event["sessionId"],
        "mediaid": event["videoId"],
        "type": name,
        "playbackRate": event["playbackRate"],
        "event_id": event["eventId"],
        **place,
    }


def _youtube(event: Json, name: str) -> Json:
    """What a page logs of the IFrame API: a name and its number."""
    kind, _, number = name.partition(" ")
    return {
        "time": event["timestamp"],
        "user": event["userId"],
        "session": event["sessionId"],
        "video_id": event["videoId"],
        "event": kind,
        "data": int(number) if number else None,
        "current_time": event["currentTime"],
        "rate": event["playbackRate"],
        "event_id": event["eventId"],
    }


def _cmcd(event: Json, name: str) -> Json:
    """A report in event mode; `sta` is the state, and stands for what `ps` tells."""
    kind, state = name.split()
    return {
        "v": 2,
        "e": kind,
        "sta": state,
        "ts": _epoch_ms(event),
        "sid": event["sessionId"],
        "cid": event["videoId"],
        "userId": event["userId"],
        "pt": round(1000 * event["currentTime"]),
        "pr": event["playbackRate"],
    }


def _jellyfin(event: Json, name: str) -> Json:
    """A webhook: ticks of 100 ns, and a flag instead of a pause."""
    kind, _, flags = name.partition(" ")
    paused, _, whole = flags.partition(" ")
    return {
        "NotificationType": kind,
        "UtcTimestamp": event["timestamp"],
        "UserId": event["userId"],
        "DeviceId": event["sessionId"],
        "ItemId": event["videoId"],
        "PlaybackPositionTicks": round(1e7 * event["currentTime"]),
        "IsPaused": paused == "true",
        **({"PlayedToCompletion": whole == "true"} if whole else {}),
    }


_EVERY: Final = frozenset(EVENT_NAMES)
_SEEKS: Final = frozenset({"video_seeking", "video_seek"})
_SEEK: Final = frozenset({"video_seek"})
_ONE_PLAY: Final = {"video_resume": "video_play"}
_SAME: Final = {name: name for name in EVENT_NAMES}


def _names(*theirs: str | None) -> Names:
    """Their names of our events, in the order of ours; None where they have none."""
    return {ours: name for ours, name in zip(EVENT_NAMES, theirs, strict=True) if name is not None}


# fmt: off
_DOM: Final = _names(
    "play", "play", "playing", "timeupdate", "ratechange", "waiting", "seeking", "seeked", "pause",
    "ended",
)

TRANSLATIONS: Final = {
    "html5": Translation("html5", _DOM, _html5, _ONE_PLAY, rates=_EVERY),
    "application_insights": Translation(
        "application_insights",
        _SAME,
        _custom_event,
        rates=_EVERY,
        origins=_SEEKS,
    ),
    "app_events": Translation(
        "app_events",
        _SAME,
        _app_event,
        rates=_EVERY,
        origins=_SEEKS,
    ),
    "segment": Translation(
        "segment",
        _names(
            "Video Playback Started",
            "Video Playback Resumed",
            "Video Playback Buffer Completed",
            "Video Content Playing",
            None,
            "Video Playback Buffer Started",
            "Video Playback Seek Started",
            "Video Playback Seek Completed",
            "Video Playback Paused",
            "Video Playback Completed",
        ),
        _segment,
        place=in_whole_s,
        origins=frozenset({"video_seeking"}),
    ),
    "edx": Translation(
        "edx",
        _names(
            "play_video", "play_video", None, None, "speed_change_video", None, None, "seek_video",
            "pause_video", "stop_video",
        ),
        _edx,
        _ONE_PLAY,
        rates=frozenset({"video_rate"}),
        origins=_SEEK,
        with_id=False,
    ),
    "xapi": Translation(
        "xapi",
        _names(
            "https://w3id.org/xapi/video/verbs/played",
            "https://w3id.org/xapi/video/verbs/played",
            None,
            None,
            None,
            None,
            None,
            "https://w3id.org/xapi/video/verbs/seeked",
            "https://w3id.org/xapi/video/verbs/paused",
            "http://adlnet.gov/expapi/verbs/terminated",
        ),
        _xapi,
        {**_ONE_PLAY, "video_ended": "video_pause"},
        rates=_EVERY,
        origins=_SEEK,
    ),
    "caliper": Translation(
        "caliper",
        _names(
            "Started", "Resumed", None, None, None, None, None, "JumpedTo", "Paused", "Ended",
        ),
        _caliper,
        place=in_whole_ms,
        origins=_SEEK,
    ),
    "snowplow": Translation(
        "snowplow",
        _names(
            "play_event", "play_event", "buffer_end_event", "ping_event",
            "playback_rate_change_event", "buffer_start_event", None, "seek_end_event",
            "pause_event", "end_event",
        ),
        _snowplow,
        _ONE_PLAY,
        rates=_EVERY,
    ),
    "snowplow version 1": Translation("snowplow", _DOM, _snowplow_1, _ONE_PLAY, rates=_EVERY),
    "mux": Translation(
        "mux",
        _names(
            "play", "play", "playing", "hb", None, "rebufferstart", "seeking", "seeked", "pause",
            "ended",
        ),
        _mux,
        _ONE_PLAY,
        place=in_whole_ms,
        session=_of_a_view,
        with_id=False,
    ),
    "adobe": Translation(
        "adobe",
        _names(
            "play", "play", None, "ping", None, "bufferStart", None, None, "pauseStart",
            "sessionComplete",
        ),
        _adobe,
        _ONE_PLAY,
        session=_of_a_view,
        with_id=False,
        opening=_adobe_start,
    ),
    "kaltura": Translation(
        "kaltura",
        _names("3", "4", "46", "99", "41", "45", None, "35", "33", None),
        _kaltura,
        rates=_EVERY,
        origins=_SEEK,
        with_id=False,
    ),
    "jwplayer": Translation(
        "jwplayer",
        _names(
            "play", "play", "firstFrame", "time", "playbackRateChanged", "buffer", None, "seek",
            "pause", "complete",
        ),
        _jwplayer,
        _ONE_PLAY,
        rates=_EVERY,
        origins=_SEEK,
    ),
    "youtube": Translation(
        "youtube",
        _names(
            "onStateChange 1", "onStateChange 1", None, "progress", "onPlaybackRateChange",
            "onStateChange 3", None, None, "onStateChange 2", "onStateChange 0",
        ),
        _youtube,
        _ONE_PLAY,
        rates=_EVERY,
    ),
    "cmcd": Translation(
        "cmcd",
        _names("ps p", "ps p", "ps p", "t p", "pr p", "ps r", "ps k", None, "ps a", "ps e"),
        _cmcd,
        {"video_play": "video_playing", "video_resume": "video_playing"},
        place=in_whole_ms,
        rates=_EVERY,
        with_id=False,
    ),
    "jellyfin": Translation(
        "jellyfin",
        _names(
            "PlaybackStart", "PlaybackProgress false", "PlaybackProgress false",
            "PlaybackProgress false", None, None, None, None, "PlaybackProgress true",
            "PlaybackStop false true",
        ),
        _jellyfin,
        {"video_resume": "video_playing", "video_progress": "video_playing"},
        session=_of_a_view,
        with_id=False,
    ),
}
# fmt: on
"""By name, each as its specification says."""


def rows(spark: SparkSession, events: Iterable[Json], vocabulary: str | None = None) -> Aggregation:
    """The rows of events, in a vocabulary or as ours."""
    mapping = None if vocabulary is None else find_mapping(vocabulary)
    with written(events) as file:
        return aggregate_files(
            spark,
            SourceSpec(location=str(file), mapping=mapping),
            video_metadata=str(VIDEOS),
            run_time=recorded_until(),
        )


def rows_understood(
    spark: SparkSession, names: Iterable[str], events: Sequence[Json]
) -> dict[str, list[Json]]:
    """The rows of our events without what each translation cannot tell, by its name."""
    found: dict[str, list[Json]] = {name: [] for name in names}
    told = [
        row | {"userId": f"{name}|{row['userId']}"}
        for name in found
        for row in TRANSLATIONS[name].understood(events)
    ]
    for row in rows(spark, told).rows.to_pylist():
        name, _, user = row["userId"].partition("|")
        found[name].append(row | {"userId": user})
    return found

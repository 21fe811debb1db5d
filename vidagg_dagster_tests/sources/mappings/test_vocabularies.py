"""Every vocabulary against golden files, and against what it says of itself."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tools.vocabularies_page import vocabularies_page
from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.metrics.ingestion import classify
from vidagg_dagster.sources.mappings.recognise import OURS, fits, sampled_rows, take_sample
from vidagg_dagster.sources.mappings.vocabularies import (
    find_mapping,
    vocabularies,
    vocabulary_names,
)
from vidagg_dagster.sources.read import read_source
from vidagg_dagster_tests.support.repository import REPO
from vidagg_dagster_tests.support.source_files import event, parquet, write


def _words(text: str) -> list[str]:
    return text.split()


# fmt: off
SPECIFIED = {
    # HTML Standard, media elements; Video.js and Plyr add some; player.js of Vimeo.
    "html5": _words(
        "abort canplay canplaythrough durationchange emptied ended error loadeddata "
        "loadedmetadata loadstart pause play playing progress ratechange resize seeked "
        "seeking stalled suspend timeupdate volumechange waiting ready fullscreenchange "
        "useractive userinactive texttrackchange dispose playerresize enterfullscreen "
        "exitfullscreen captionsenabled captionsdisabled languagechange controlshidden "
        "controlsshown statechange qualitychange qualityrequested cuechange bufferstart "
        "bufferend chapterchange cuepoint loaded playbackratechange enterpictureinpicture "
        "leavepictureinpicture "
    ),
    "segment": [
        *(f"Video Playback {what}" for what in (
            "Started", "Paused", "Interrupted", "Buffer Started", "Buffer Completed",
            "Seek Started", "Seek Completed", "Resumed", "Completed", "Exited",
        )),
        *(f"Video Content {what}" for what in ("Started", "Playing", "Completed")),
        *(f"Video Ad {what}" for what in ("Started", "Playing", "Completed", "Clicked", "Skipped")),
        "Video Quality Updated",
    ],
    "edx": _words(
        "load_video play_video pause_video stop_video seek_video speed_change_video "
        "complete_video show_transcript hide_transcript video_show_cc_menu "
        "video_hide_cc_menu edx.video.loaded edx.video.played edx.video.paused "
        "edx.video.stopped edx.video.position.changed edx.video.speed.changed "
        "edx.video.completed edx.video.transcript.shown edx.video.transcript.hidden "
        "edx.video.closed_captions.shown edx.video.closed_captions.hidden "
        "edx.video.language_menu.shown edx.video.language_menu.hidden "
        "edx.video.bumper.loaded edx.video.bumper.played "
    ),
    "xapi": [
        *(f"https://w3id.org/xapi/video/verbs/{verb}" for verb in ("played", "paused", "seeked")),
        *(f"http://adlnet.gov/expapi/verbs/{verb}" for verb in (
            "initialized", "completed", "interacted", "terminated",
        )),
    ],
    "caliper": [f"MediaEvent {action}" for action in (
        "ChangedResolution", "ChangedSize", "ChangedSpeed", "ChangedVolume", "ClosedPopout",
        "DisabledClosedCaptioning", "EnabledClosedCaptioning", "Ended", "EnteredFullScreen",
        "ExitedFullScreen", "ForwardedTo", "JumpedTo", "Muted", "OpenedPopout", "Paused",
        "Restarted", "Resumed", "Started", "Unmuted",
    )],
    "snowplow": [
        *(f"{name}_event" for name in (
            "ready", "play", "pause", "end", "seek_start", "seek_end", "playback_rate_change",
            "volume_change", "fullscreen_change", "picture_in_picture_change", "ping",
            "percent_progress", "buffer_start", "buffer_end", "quality_change", "error",
            "ad_break_start", "ad_break_end", "ad_start", "ad_first_quartile", "ad_midpoint",
            "ad_third_quartile", "ad_complete", "ad_skip", "ad_click", "ad_pause", "ad_resume",
        )),
        *(f"media_player_event {name}" for name in (
            "play", "pause", "ended", "seeking", "seeked", "timeupdate", "waiting", "ratechange",
            "percentprogress", "volumechange", "ready", "playbackratechange", "seek", "buffering",
        )),
    ],
    "mux": _words(
        "viewstart playerready play playing pause seeking seeked rebufferstart "
        "rebufferend ended viewend error adrequest adresponse adbreakstart adplay "
        "adplaying adpause adended adbreakend aderror renditionchange orientationchange "
        "requestcompleted requestfailed requestcanceled "
    ),
    # What mux-embed 5.19.0 emits.
    "mux_beacons": _words(
        "viewinit viewstart playerready playerdestroy play playing pause seeking seeked waiting "
        "rebufferstart rebufferend timeupdate ratechange ended viewend hb error renditionchange "
        "playbackmodechange networkchange texttrackchange requestcompleted requestfailed "
        "requestcanceled adrequest adresponse adbreakstart adplay adplaying adpause adended "
        "adbreakend aderror "
    ),
    "adobe": [
        prefix + name
        for prefix in ("", "media.")
        for name in _words(
            "sessionStart play ping pauseStart bufferStart bitrateChange error "
            "sessionComplete sessionEnd adBreakStart adBreakComplete adStart adComplete "
            "adSkip chapterStart chapterComplete chapterSkip "
        )
    ],
    "youtube": [
        *(f"onStateChange {state}" for state in (-1, 0, 1, 2, 3, 5)),
        "onPlaybackRateChange", "onReady", "onError", "onPlaybackQualityChange", "onApiChange",
        "onAutoplayBlocked",
    ],
    "matomo": ["video", "audio"],
    "jwplayer": _words(
        "ready setupError remove play pause complete seek seeked time buffer bufferChange idle "
        "firstFrame playbackRateChanged playAttemptFailed beforePlay beforeComplete playlist "
        "playlistItem playlistComplete levels levelsChanged visualQuality audioTracks "
        "audioTrackChanged captionsList captionsChanged controls displayClick fullscreen meta mute "
        "volume resize viewable cast error warning adImpression adPlay adPause adTime adComplete "
        "adSkipped adError adClick adBreakStart adBreakEnd adRequest adStarted"
    ),
    "jellyfin": [
        "PlaybackStart", "PlaybackStart false", "PlaybackProgress false", "PlaybackProgress true",
        *(f"PlaybackStop {paused} {whole}" for paused in ("true", "false")
          for whole in ("true", "false")),
        "ItemAdded", "ItemDeleted", "SessionStart", "UserDataSaved", "AuthenticationSuccess",
    ],
    "plex": _words(
        "media.play media.pause media.resume media.stop media.scrobble media.rate library.on.deck "
        "library.new admin.database.backup admin.database.corrupted device.new playback.started"
    ),
    "tautulli": _words(
        "play stop pause resume error change intro commercial credits watched buffer concurrent "
        "newdevice created intdown intup extdown extup pmsupdate plexpyupdate plexpydbcorrupt "
        "tokenexpired"
    ),
    "peertube": _words("watching seek"),
    "xapi_segments": [
        f"http://adlnet.gov/expapi/verbs/{verb}" for verb in ("terminated", "completed")
    ],
    "mooccubex": ["segment"],
    "panopto": _words("Seek Pause End PlayerClose Viewed"),
    "cmcd": [
        *(f"{event} {state}" for event in ("ps", "t") for state in _words("s p k r a w e f q d")),
        *(f"{event} p" for event in _words("pr br e c b m um pe pc rr as ae abs abe sk")),
    ],
    "ga4": _words("video_start video_progress video_complete video_play video_pause page_view"),
    "kaltura": _words("1 2 3 4 11 12 13 14 33 34 35 41 45 46 98 99"),
}
# fmt: on
"""The names that the specification of a vocabulary has, typed from it."""

OWN_NAMES = {"application_insights", "app_events"}
"""Vocabularies whose names of events are the site's own."""

GOLDEN = Path(__file__).parent / "golden"
NAMES = vocabulary_names()
RUN_TIME = datetime(2027, 1, 1, tzinfo=UTC)


def classified(spark: SparkSession, location: Path, vocabulary: str, **spec: Any) -> DataFrame:
    source = SourceSpec(location=str(location), mapping=find_mapping(vocabulary), **spec)
    rows = read_source(spark, source)
    return classify(rows, spec=source, start_date=None, timezone="UTC", run_time=RUN_TIME)


def told(rows: DataFrame) -> list[str]:
    """Classified rows in the form of the `.expected` files."""
    found = rows.withColumn("us", F.unix_micros("timestamp")).drop("payload").collect()
    accepted = sorted(
        (row.us, f"{_clock(row.us)} {row.userId} {row.sessionId} {row.videoId} {row.eventName} "
        f"{_number(row.positionMs, 1000)} {_number(row.playbackRate)} "
        f"{_number(row.seekFromMs, 1000)}")
        for row in found
        if row.outcome == "accepted"
    )  # fmt: skip
    ignored = sum(row.outcome == "ignored" for row in found)
    reasons = [reason for row in found for reason in row.reasons]
    rejected = [f"rejected {name} {reasons.count(name)}" for name in sorted(set(reasons))]
    assert len(accepted) + ignored + sum(bool(row.reasons) for row in found) == len(found)
    return [*(line for _, line in accepted), f"ignored {ignored}", *rejected]


def _clock(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).strftime("%H:%M:%S.%f")[:-3]


def _number(value: float | None, divisor: int = 1) -> str:
    return "-" if value is None else f"{value / divisor:g}"


@pytest.mark.parametrize("name", NAMES)
def test_golden_files_are_read_as_their_specification_says(sail: SparkSession, name: str) -> None:
    assert_golden(sail, name)


def assert_golden(spark: SparkSession, name: str) -> None:
    (file,) = [*GOLDEN.glob(f"{name}.jsonl"), *GOLDEN.glob(f"{name}.csv")]
    expected = (GOLDEN / f"{name}.expected").read_text(encoding="utf-8").splitlines()
    assert told(classified(spark, file, name)) == expected


def test_every_vocabulary_has_a_golden_file_and_its_specification() -> None:
    files = {file.stem for file in GOLDEN.iterdir() if file.suffix == ".expected"}
    assert files == set(NAMES) == {*SPECIFIED, *OWN_NAMES}
    assert all(mapping.title and mapping.sources for mapping in vocabularies())


@pytest.mark.parametrize("name", SPECIFIED)
def test_every_name_of_a_specification_is_mapped_ignored_or_rejected_by_name(name: str) -> None:
    mapping = find_mapping(name)
    named = [n for n in SPECIFIED[name] if mapping.rule_of(n.lower()) is not None]
    assert named == SPECIFIED[name]
    assert mapping.rule_of("something else entirely") in (None, mapping.events.get("*"))


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_file_is_recognised(name: str, tmp_path: Path) -> None:
    (file,) = [*GOLDEN.glob(f"{name}.jsonl"), *GOLDEN.glob(f"{name}.csv")]
    best = fits(take_sample(str(file), "auto", tmp_path).records)[0]
    assert best.mapping.name == name
    lines = (GOLDEN / f"{name}.expected").read_text(encoding="utf-8").splitlines()
    accepted = [line for line in lines if not line.startswith(("ignored", "rejected"))]
    assert best.usable >= len(accepted)


def test_rows_of_sampled_events_are_counted() -> None:
    records: list[dict[str, Any]] = [
        {"itemCount": 4},
        {"itemCount": "2"},
        {"itemCount": 1},
        {"itemCount": None},
        {},
    ]
    assert sampled_rows(find_mapping("application_insights"), records) == 2
    assert sampled_rows(find_mapping("segment"), records) == 0


def test_our_own_events_and_strange_ones_are_recognised_as_such(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", [event(), event(eventName="pause"), "no json"])
    ours = fits(take_sample(str(file), "auto", tmp_path).records)[0]
    assert (ours.mapping, ours.usable, ours.share) == (OURS, 2, 1.0)
    file = parquet(tmp_path / "b.parquet", {"a": [1], "b": ["x"]})
    assert fits(take_sample(str(file), "auto", tmp_path).records)[0].usable == 0
    file = write(tmp_path / "c.csv", "")
    assert take_sample(str(file), "auto", tmp_path).records == ()


def test_the_page_of_vocabularies_is_up_to_date() -> None:
    """`python -m tools.vocabularies_page` writes it."""
    page = (REPO / "docs" / "vocabularies.md").read_text(encoding="utf-8")
    assert page == vocabularies_page()


def test_the_mapping_of_the_page_reads_what_it_says(spark: SparkSession, tmp_path: Path) -> None:
    page = (REPO / "docs" / "vocabularies.md").read_text(encoding="utf-8")
    own = write(tmp_path / "own.yaml", page.split("```yaml\n")[1].split("```")[0])
    base = {"sentAt": 1714982400500, "device": {"id": "d"}, "session": "s", "course": "c"}
    lines = [
        {**base, "clip": 1, "action": "begin", "player": {"position": 1500}},
        {**base, "clip": 1, "action": "jump", "origin": 2500, "target": 60000},
        {**base, "clip": 1, "action": "ad start"},
    ]
    file = write(tmp_path / "a.jsonl", map(json.dumps, lines))
    assert told(classified(spark, file, str(own))) == [
        "08:00:00.500 d s c/1 video_play 1.5 - -",
        "08:00:00.500 d s c/1 video_seek 60 - 2.5",
        "ignored 1",
    ]

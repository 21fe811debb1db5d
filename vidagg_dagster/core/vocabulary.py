"""Each list of words once: event names, kinds, reasons, evidence, counters of a visit."""

from typing import Final

START, NEUTRAL, STOP = 1, 0, -1
"""What an event does to the player."""

EVENT_NAMES: Final = (
    "video_play",
    "video_resume",
    "video_playing",
    "video_progress",
    "video_rate",
    "video_waiting",
    "video_seeking",
    "video_seek",
    "video_pause",
    "video_ended",
)
"""The canonical names. A name's place is its rank among events of one instant."""

RANKS: Final = {name: rank for rank, name in enumerate(EVENT_NAMES)}

REPORTED_NAME: Final = "video_reported"
"""No event of a player, but a stretch that somebody says was watched."""

REPORTED: Final = len(EVENT_NAMES)
RANK_OF: Final = {**RANKS, REPORTED_NAME: REPORTED}
"""The ranks of all names that are accepted."""

PLAYING = RANKS["video_playing"]
WAITING = RANKS["video_waiting"]
SEEKING = RANKS["video_seeking"]
SEEK = RANKS["video_seek"]
PAUSE = RANKS["video_pause"]
ENDED = RANKS["video_ended"]

LAST_START = PLAYING
"""Names up to this rank start; `video_playing` only while the player is stopped."""
FIRST_STOP = PAUSE
"""Names from this rank on stop; what lies between is neutral."""

ALIASES: Final = {
    alias: name
    for name, aliases in {
        "video_play": "play start video_start",
        "video_resume": "resume resumed",
        "video_playing": "playing buffer_end buffering_end video_buffer_end",
        "video_progress": "progress heartbeat video_heartbeat ping timeupdate time_update "
        "video_timeupdate",
        "video_rate": "ratechange rate_change video_ratechange speed_change",
        "video_waiting": "waiting stalled buffering buffer_start buffering_start "
        "video_buffer_start",
        "video_seeking": "seeking seek_start video_seek_start",
        "video_seek": "seek seeked video_seeked seek_end",
        "video_pause": "pause paused",
        "video_ended": "ended end video_end complete completed video_complete video_completed "
        "finish finished",
    }.items()
    for alias in aliases.split()
}
"""Accepted name of an event -> its canonical name."""

IGNORE: Final = "ignore"
"""What settings map a name to whose rows are counted and dropped."""

REASONS: Final = (
    "missing_timestamp",
    "unparsable_timestamp",
    "timestamp_out_of_range",
    "missing_user",
    "missing_session",
    "missing_video",
    "unknown_event",
    "missing_position",
    "invalid_position",
    "malformed_row",
)
"""Why a row may be rejected, in the order in which several reasons are listed."""

REJECTED_PREFIX = "rejected:"
"""Before the reason, in the names of counts of rows rejected for one reason."""

EVIDENCE = ("observed", "heartbeat", "bridged", "clipped", "reported")
"""How a watched interval is known, in the order in which rows show it."""

REPORTED_EVIDENCE = "reported"
"""Of an interval that no events of a player lie behind."""

VISIT_SUMS: dict[str, str] = {
    "eventCount": "eventCount",
    "tailMs": "tailMs",
    "sessionMs": "durationMs",
    "sessionCount": "startsHere",
    "pauseCount": "pauseCount",
    "forwardSkips": "forwardSkipCount",
    "backwardSkips": "backwardSkipCount",
    "completionCount": "completionCount",
    "openEndedCount": "openEndedCount",
    "exceedingCount": "exceedingCount",
    "noStartCount": "noStart",
}
"""Additive fact of a user and video -> the field of a visit that is added up."""

SUMS = (
    "watchMs",
    "clockMs",
    *(f"{evidence}Ms" for evidence in EVIDENCE),
    *(name for name in VISIT_SUMS if name != "eventCount"),
)
"""The additive facts of a user and video, in milliseconds and counts, before publishing."""

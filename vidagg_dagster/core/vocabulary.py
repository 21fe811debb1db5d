"""Each list of words once: event names, kinds, reasons, evidence, counters of a visit."""

from typing import Final

START, NEUTRAL, STOP = 1, 0, -1
"""As numbers, so that `kind * state` sorts a tie."""

KIND_AND_RANK: dict[str, tuple[int, int]] = {
    "video_play": (START, 0),
    "video_resume": (START, 1),
    "video_progress": (NEUTRAL, 2),
    "video_seek": (NEUTRAL, 3),
    "video_pause": (STOP, 4),
    "video_ended": (STOP, 5),
}
"""Canonical event name -> its kind, and its place among events of one instant and kind."""

EVENT_NAMES: Final = tuple(KIND_AND_RANK)
"""The canonical names, in the order that decides between events of one instant."""

ALIASES: Final = {
    "play": "video_play",
    "resume": "video_resume",
    "video_heartbeat": "video_progress",
    "video_seeked": "video_seek",
    "pause": "video_pause",
    "end": "video_ended",
    "ended": "video_ended",
    "video_end": "video_ended",
}
"""Another name for an event -> its canonical name."""

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

SEEK = KIND_AND_RANK["video_seek"][1]
PAUSE = KIND_AND_RANK["video_pause"][1]
ENDED = KIND_AND_RANK["video_ended"][1]

EVIDENCE = ("observed", "heartbeat", "bridged", "clipped")
"""How a watched interval is known, in the order in which rows show it."""

REJECTED_PREFIX = "rejected:"
"""Before the reason, in the names of counts of rows rejected for one reason."""

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
}
"""Additive fact of a user and video -> the field of a visit that is added up."""

SUMS = (
    "watchMs",
    "clockMs",
    *(f"{evidence}Ms" for evidence in EVIDENCE),
    *(name for name in VISIT_SUMS if name != "eventCount"),
)
"""The additive facts of a user and video, in milliseconds and counts, before publishing."""

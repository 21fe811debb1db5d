"""Recognises a source's names: which column is which of ours, and which event is which.

It guesses from names alone, by lists of the words that players and analytics tools use. What it
says is shown to a person, who may correct it.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from vidagg_dagster.core.time_format import parse_time_format
from vidagg_dagster.core.vocabulary import ALIASES, EVENT_NAMES, IGNORE

COLUMN_WORDS: Final[Mapping[str, str]] = {
    "timestamp": "timestamp time ts eventtime eventtimestamp datetime occurredat createdat "
    "originaltimestamp clienttime sentat receivedat date",
    "userId": "userid user uid viewerid viewer distinctid customerid accountid "
    "userauthenticatedid authenticateduserid anonymousid clientid who",
    "sessionId": "sessionid session sid sess visitid playbackid viewid playersessionid gasessionid",
    "videoId": "videoid video vid contentid contentassetid assetid mediaid itemid clipid content "
    "asset",
    "eventName": "eventname event name type eventtype action verb what",
    "currentTime": "currenttime position pos playhead playheadposition playerposition videotime "
    "offset videocurrenttime positionseconds seconds",
    "playbackRate": "playbackrate rate speed playbackspeed",
    "seekFrom": "seekfrom seekstartposition previousposition",
    "eventId": "eventid messageid insertid uuid",
}
"""Our column -> the words that mean it, without blanks and signs, the likeliest first."""

EVENT_WORDS: Final[Mapping[str, str]] = {
    "video_play": "play started start begin began playstart autoplay opened",
    "video_resume": "resumed resume unpaused",
    "video_playing": "buffercompleted bufferend bufferended playing rebuffered",
    "video_progress": "progress heartbeat ping contentplaying watched timeupdate percent",
    "video_rate": "ratechange ratechanged speedchanged speed",
    "video_waiting": "bufferstarted bufferstart waiting stalled buffering",
    "video_seeking": "seekstarted seekstart seeking scrubstart",
    "video_seek": "seekcompleted seek seeked seekend scrubbed scrubend skipped jump",
    "video_pause": "paused pause stopped stop interrupted exited closed suspended",
    "video_ended": "completed complete ended end finished finish done contentcompleted",
    IGNORE: "adstarted adcompleted adplaying adstart qualityupdated qualitychange volumechange "
    "volumechanged muted unmuted fullscreen exitfullscreen error ready loaded impression loadstart "
    "loadedmetadata captions subtitles",
}
"""Our name of an event -> the words that mean it once `FILLERS` are left out."""

_DATES: Final = (
    *("%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y"),
    *("%d %b %Y", "%b %d %Y", "%b %d, %Y"),
)
_CLOCKS: Final = (
    *("%H:%M:%S", "%H:%M:%S.%f", "%H:%M"),
    *("%I:%M:%S %p", "%I:%M:%S.%f %p", "%I:%M %p"),
)
TIME_PATTERNS: Final = tuple(
    f"{day}{between}{clock}" for day in _DATES for between in (" ", ", ") for clock in _CLOCKS
)
"""How spreadsheets and portals write times. ISO 8601 needs no pattern."""

_LARGEST: Final = {"m": 12, "d": 31, "H": 23, "I": 12}

FILLERS: Final = frozenset({"video", "playback", "player", "media", "html5", "event", "on"})


def recognise_columns(found: Sequence[str]) -> dict[str, str]:
    """Our column -> the source's, for those that are recognised; a dot leads into nested fields.

    A word that comes earlier in `COLUMN_WORDS` wins, then the column that is nested least.
    """
    chosen: dict[str, str] = {}
    for ours, words in COLUMN_WORDS.items():
        by_word = {word: rank for rank, word in enumerate(words.split())}
        ranked = [
            (by_word[word], name.count("."), at, name)
            for at, name in enumerate(found)
            if (word := _bare(name.rpartition(".")[2])) in by_word and name not in chosen.values()
        ]
        if ours in found:
            chosen[ours] = ours
        elif ranked:
            chosen[ours] = min(ranked)[3]
    return chosen


def recognise_events(names: Iterable[str]) -> dict[str, str | None]:
    """Each name of an event -> ours, `ignore`, or None where nobody knows.

    Names that need no mapping, because they are ours or aliases, come with our name as well.
    """
    known = {name: name for name in EVENT_NAMES} | dict(ALIASES)
    guesses = {word: ours for ours, words in EVENT_WORDS.items() for word in words.split()}
    return {name: known.get(_lower(name)) or guesses.get(_core(name)) for name in names}


def timestamp_unit(largest: float) -> str | None:
    """The unit in which a number is a time of our days: `s`, `ms`, `us` or `ns`."""
    for digits, unit in ((10, "s"), (13, "ms"), (16, "us"), (19, "ns")):
        if 10 ** (digits - 1) <= largest < 10**digits:
            return unit
    return None


def time_patterns(texts: Collection[str]) -> list[str]:
    """Those of `TIME_PATTERNS` that read every text: several, where a day may be the month."""
    return [
        pattern
        for pattern in TIME_PATTERNS
        if texts and all(_reads(pattern, text) for text in texts)
    ]


def _reads(pattern: str, text: str) -> bool:
    form = parse_time_format(pattern)
    found = re.match(form.expression, text)
    return found is not None and all(
        int(part) <= _LARGEST[directive]
        for directive, part in zip(form.directives, found.groups(), strict=True)
        if directive in _LARGEST
    )


def _core(name: str) -> str:
    """The words of a name without those that say only that it is about a video."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    words = [word for word in re.split(r"[^a-z0-9]+", split.lower()) if word]
    return "".join(word for word in words if word not in FILLERS) or "".join(words)


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _lower(name: str) -> str:
    return name.strip().lower()

"""A source's names of columns and events: parsed from `ours=theirs,...`, checked against ours."""

from collections.abc import Iterable, Mapping

from vidagg_dagster.core.contract import EVENT_COLUMNS, VIDEO_COLUMNS
from vidagg_dagster.core.vocabulary import ALIASES, IGNORE, RANK_OF


def parse_columns(text: str) -> dict[str, str]:
    """`ours=theirs,...` -> our column name -> the source's.

    Raises:
        ValueError: A pair lacks a name, or ours is no column of an event.
    """
    columns = _pairs(text)
    require_event_columns(columns)
    return columns


def _pairs(text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if not all(ours.strip() and theirs.strip() for ours, _, theirs in pairs):
        raise ValueError(f"{text!r}: every pair needs a name on both sides of `=`")
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}


def parse_video_columns(text: str) -> dict[str, str]:
    """`ours=theirs,...` -> our name of a column of the video catalogue -> the catalogue's.

    Raises:
        ValueError: A pair lacks a name, or ours is no column of a catalogue.
    """
    columns = _pairs(text)
    require_video_columns(columns)
    return columns


def require_video_columns(names: Iterable[str]) -> None:
    """Check our names of a catalogue's columns.

    Raises:
        ValueError: A name is no column of a catalogue, or the duration is named twice.
    """
    given = set(names)
    unknown = sorted(given - set(VIDEO_COLUMNS))
    if unknown:
        raise ValueError(
            f"no column of a video catalogue: {', '.join(unknown)}; ours are "
            f"{', '.join(VIDEO_COLUMNS)}"
        )
    if given >= {"duration", "durationMs"}:
        raise ValueError("duration (seconds) and durationMs are one; name one of them")


def require_event_columns(names: Iterable[str]) -> None:
    """Check our names of a mapping.

    Raises:
        ValueError: A name is no column of an event.
    """
    unknown = sorted(set(names) - set(EVENT_COLUMNS))
    if unknown:
        raise ValueError(
            f"no column of an event: {', '.join(unknown)}; ours are {', '.join(EVENT_COLUMNS)}"
        )


def parse_event_names(text: str) -> dict[str, str]:
    """`ours=theirs|theirs,...` -> the source's name of an event -> our name.

    Raises:
        ValueError: A pair lacks a name, ours is no name of an event, or theirs occurs twice.
    """
    names: dict[str, str] = {}
    for pair in filter(str.strip, text.split(",")):
        ours, _, theirs = pair.partition("=")
        found = [name.strip().lower() for name in theirs.split("|")]
        if not ours.strip() or not all(found):
            raise ValueError(f"{text!r}: every pair needs names on both sides of `=`")
        twice = sorted(set(found) & set(names))
        if twice:
            raise ValueError(f"named twice: {', '.join(twice)}")
        names |= dict.fromkeys(found, ours.strip())
    return require_event_names(names)


def require_event_names(names: Mapping[str, str]) -> dict[str, str]:
    """A mapping from the source's names to ours, in lower case, aliases of ours resolved.

    Raises:
        ValueError: A name is neither ours nor `ignore`.
    """
    lower = {name: name.strip().lower() for name in names.values()}
    ours = {name: ALIASES.get(word, word) for name, word in lower.items()}
    unknown = sorted(name for name, known in ours.items() if known not in (*RANK_OF, IGNORE))
    if unknown:
        raise ValueError(
            f"no name of an event: {', '.join(unknown)}; ours are {', '.join(RANK_OF)} and {IGNORE}"
        )
    return {theirs.strip().lower(): ours[name] for theirs, name in names.items()}

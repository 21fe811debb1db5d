"""Column names of a source: parsed from `ours=theirs,...`, checked against an event's columns."""

from collections.abc import Iterable

from vidagg_dagster.core.contract import EVENT_COLUMNS


def parse_columns(text: str) -> dict[str, str]:
    """`ours=theirs,...` -> our column name -> the source's.

    Raises:
        ValueError: A pair lacks a name, or ours is no column of an event.
    """
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if not all(ours.strip() and theirs.strip() for ours, _, theirs in pairs):
        raise ValueError(f"{text!r}: every pair needs a name on both sides of `=`")
    columns = {ours.strip(): theirs.strip() for ours, _, theirs in pairs}
    require_event_columns(columns)
    return columns


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

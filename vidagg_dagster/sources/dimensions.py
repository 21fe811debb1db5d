"""Where dimensions are in a source, and what to say of those that are in no column of it."""

from collections.abc import Mapping, Set
from difflib import SequenceMatcher
from typing import Final

from vidagg_dagster.core.dimensions import Dimensions
from vidagg_dagster.core.event_mapping import EACH, INNER, EventMapping, Place
from vidagg_dagster.core.record_path import RecordPath

MAX_NEAREST: Final = 3
_ALIKE: Final = 0.6


def column_of(name: str, theirs: str | None) -> str:
    """The column of a dimension in a source of our vocabulary."""
    return name if theirs is None else theirs


def places_of(name: str, theirs: str | None, mapping: EventMapping) -> tuple[Place, ...]:
    """Where the records of a vocabulary have a dimension.

    Raises:
        ValueError: What the settings say is no path.
    """
    if theirs is not None:
        return (Place(paths=(theirs,)),)
    return mapping.dimensions.get(name, (Place(paths=(name,)),))


def absent_dimensions(
    dimensions: Dimensions, mapping: EventMapping | None, seen: Set[str]
) -> dict[str, str]:
    """The dimensions that come from no column of the source -> what to say of each.

    `seen` are the names of the source's columns, a dot leading into nested ones. Of JSON lines they
    are those of the first lines.
    """
    absent: dict[str, str] = {}
    folded = {name.lower() for name in seen}
    for name, theirs in dimensions.items():
        if mapping is None:
            wanted = [column_of(name, theirs)]
            there = wanted[0].lower() in folded
        else:
            places = places_of(name, theirs, mapping)
            wanted = [path for place in places for path in place.paths]
            literal = any(place.literal is not None for place in places)
            there = literal or any(
                _may_be_in(path, seen) for place in places for path in place.steps
            )
        if not there:
            near = _nearest(wanted[0], seen)
            hint = f"; nearest: {', '.join(near)}" if near else ""
            absent[name] = f"there is no column {' or '.join(wanted)}{hint}"
    return absent


def told(absent: Mapping[str, str]) -> str:
    """What `absent_dimensions` found, as one text."""
    return "; ".join(f"{name}: {why}" for name, why in absent.items())


def _may_be_in(path: RecordPath, seen: Set[str]) -> bool:
    """Whether a path leads to a column, or into one whose inside is not known."""
    if path[0] in (EACH, INNER):
        return True
    names: list[str] = []
    for step in path:
        if not isinstance(step, str):
            return ".".join(names) in seen
        if names and ".".join(names) in seen and not _has_fields(".".join(names), seen):
            return True
        names.append(step)
    return ".".join(names) in seen


def _has_fields(name: str, seen: Set[str]) -> bool:
    return any(other.startswith(f"{name}.") for other in seen)


def _nearest(wanted: str, seen: Set[str]) -> list[str]:
    word = wanted.rpartition(".")[2].lower()
    likeness = {
        name: max(SequenceMatcher(None, word, part.lower()).ratio() for part in name.split("."))
        for name in seen
    }
    alike = [name for name, ratio in likeness.items() if ratio >= _ALIKE]
    return sorted(alike, key=lambda name: (-likeness[name], name))[:MAX_NEAREST]

"""How the events of another vocabulary become ours: names, places of values and units, as data."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from vidagg_dagster.core.record_path import RecordPath, parse_path
from vidagg_dagster.core.vocabulary import IGNORE, RANK_OF

EACH: Final = "each"
"""How paths name an element of the array that holds the events."""

INNER: Final = "inner"
"""How paths name an element of an array inside such an element."""

REJECT: Final = "reject"
"""What a mapping says of a name that it knows and does not understand."""

TimeUnit = Literal["s", "ms", "us", "ns"]

PositionUnit = Literal["s", "ms", "us", "ticks", "iso8601", "clock", "seconds_text"]
"""How a position is written: seconds, milliseconds, microseconds, ticks of 100 ns, an ISO 8601
duration (PT1M30S), hours:minutes:seconds, or seconds with an s behind them (12.5s)."""

EventColumn = Literal[
    "timestamp",
    "userId",
    "sessionId",
    "videoId",
    "eventName",
    "currentTime",
    "playbackRate",
    "seekFrom",
    "eventId",
]

NEEDED: Final[tuple[EventColumn, ...]] = (
    "timestamp",
    "userId",
    "sessionId",
    "videoId",
    "eventName",
    "currentTime",
)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Place(_Model):
    """Where a value is in a record; several paths are joined, those without a value left out.

    Instead of paths a `literal` may be given, for records that say something by saying nothing.
    """

    paths: tuple[str, ...] = ()
    separator: str = " "
    unit: PositionUnit = "s"
    literal: str | None = Field(default=None, min_length=1)
    plus: str | None = Field(
        default=None, description="Path of a length that is added to a position, in its unit."
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if bool(self.paths) == (self.literal is not None):
            raise ValueError("a place is a path, several paths, or a literal")
        return self

    @field_validator("plus")
    @classmethod
    def _is_path(cls, path: str | None) -> str | None:
        if path is not None:
            parse_path(path)
        return path

    @field_validator("paths")
    @classmethod
    def _are_paths(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            parse_path(path)
        return paths

    @property
    def steps(self) -> tuple[RecordPath, ...]:
        """The paths, parsed; the first of them lead to what is joined."""
        more = () if self.plus is None else (self.plus,)
        return tuple(parse_path(path) for path in (*self.paths, *more))


def _places(given: Any) -> Any:
    """A place may be written as its path alone, and a list of one place without the list."""
    listed = given if isinstance(given, list | tuple) else [given]
    return [_place(place) for place in listed]


def _place(given: Any) -> Any:
    if isinstance(given, str):
        return {"paths": [given]}
    if isinstance(given, dict) and "path" in given:
        rest = {name: value for name, value in given.items() if name != "path"}
        return {"paths": [given["path"]], **rest}
    return given


Places = Annotated[tuple[Place, ...], BeforeValidator(_places), Field(min_length=1)]
"""The first one with a value counts."""


class EventRule(_Model):
    """What an event of the vocabulary is to us."""

    to: str
    """One of our names, `ignore` (counted and dropped) or `reject` (known, not understood)."""
    columns: dict[EventColumn, Places] = Field(default_factory=dict)
    """Where this event has its values, if elsewhere than the others."""

    @field_validator("to")
    @classmethod
    def _is_ours(cls, to: str) -> str:
        if to not in (*RANK_OF, IGNORE, REJECT):
            raise ValueError(
                f"{to!r} is no event of ours; they are {', '.join(RANK_OF)}, {IGNORE} and {REJECT}"
            )
        return to


def _glob(pattern: str) -> str:
    """Of the wildcards of `fnmatch` only `*` is one in names."""
    return "".join(f"[{c}]" if c in "?[" else c for c in pattern)


def _rule(given: Any) -> Any:
    if isinstance(given, str):
        return {"to": given}
    if isinstance(given, dict) and "columns" not in given:
        return {"to": given.get("to"), "columns": {k: v for k, v in given.items() if k != "to"}}
    return given


class EventMapping(_Model):
    """A vocabulary. It travels to where a step runs, so it is complete in itself."""

    name: str
    title: str = ""
    sources: tuple[str, ...] = Field(default=(), description="Where the vocabulary is specified.")
    columns: dict[EventColumn, Places]
    events: dict[str, Annotated[EventRule, BeforeValidator(_rule)]] = Field(
        default_factory=dict,
        description="Name of an event, in any case -> ours. A name with `*` stands for many, and "
        "counts after those without. Empty: the names are ours.",
    )
    dimensions: dict[str, Places] = Field(
        default_factory=dict,
        description="Where the records have what may be asked for as a dimension.",
    )
    each: str | None = Field(
        default=None,
        description="Path of an array whose elements are the events. Paths that begin with `each` "
        "lead into an element. A record without such an array is an event itself.",
    )
    inner: str | None = Field(
        default=None,
        description="Path, which begins with `each`, of an array whose elements are the events. "
        "Paths that begin with `inner` lead into an element.",
    )
    each_form: Literal["array", "segments"] = Field(
        default="array",
        description="How the array is written: as JSON, or as text such as 0[.]12[,]30[.]40, "
        "whose elements are arrays of two.",
    )
    timestamp_unit: TimeUnit | None = Field(
        default=None, description="Unit of times that are numbers."
    )
    fill_down: tuple[Literal["userId", "videoId"], ...] = Field(
        default=(), description="Columns that only some events of a session carry."
    )
    stale_play: bool = Field(
        default=False,
        description="Whether a start right after a seek may still carry the place before it.",
    )
    whole_seconds: bool = Field(
        default=False, description="Whether positions are cut to whole seconds."
    )
    sampled: str | None = Field(
        default=None, description="Path of the number of events that a row stands for."
    )
    notes: tuple[str, ...] = Field(default=(), description="What users of it should know.")

    @field_validator("events")
    @classmethod
    def _in_lower_case(cls, events: dict[str, EventRule]) -> dict[str, EventRule]:
        lower = {name.strip().lower(): rule for name, rule in events.items()}
        if len(lower) < len(events):
            raise ValueError("two names differ only in case")
        return lower

    @field_validator("columns")
    @classmethod
    def _complete(cls, columns: Mapping[EventColumn, Any]) -> Mapping[EventColumn, Any]:
        missing = [name for name in NEEDED if name not in columns]
        if missing:
            raise ValueError(f"places are missing for {', '.join(missing)}")
        return columns

    @model_validator(mode="after")
    def _tells_names_apart(self) -> Self:
        """Engines do not tell fields apart whose names differ only in case."""
        seen: dict[tuple[object, ...], RecordPath] = {}
        for path in self.paths:
            for end in range(1, len(path) + 1):
                folded = tuple(s.lower() if isinstance(s, str) else s for s in path[:end])
                other = seen.setdefault(folded, path[:end])
                if other != path[:end]:
                    raise ValueError(
                        f"{other[-1]} and {path[end - 1]} differ only in case, which engines do "
                        "not tell apart; make two mappings"
                    )
        return self

    @model_validator(mode="after")
    def _leads_inside(self) -> Self:
        if self.inner is not None and (self.each is None or parse_path(self.inner)[0] != EACH):
            raise ValueError("inner is a path that begins with each, which is needed too")
        return self

    @property
    def in_sequence(self) -> bool:
        """Whether an event may take something from those before it in its session."""
        return bool(self.fill_down) or self.stale_play

    @property
    def paths(self) -> tuple[RecordPath, ...]:
        """All paths of values, each once."""
        own = [places for rule in self.events.values() for places in rule.columns.values()]
        named = (*self.columns.values(), *own, *self.dimensions.values())
        every = [place for places in named for place in places]
        return tuple(dict.fromkeys(path for place in every for path in place.steps))

    @field_validator("each", "inner", "sampled")
    @classmethod
    def _is_path(cls, path: str | None) -> str | None:
        if path is not None:
            parse_path(path)
        return path

    def rule_of(self, name: str) -> EventRule | None:
        """The rule for a name in lower case; None if the vocabulary does not know it."""
        if name in self.exact:
            return self.exact[name]
        found = (rule for text, rule in self.patterns.items() if fnmatchcase(name, _glob(text)))
        return next(found, None)

    @property
    def exact(self) -> dict[str, EventRule]:
        """The names without a pattern."""
        return {name: rule for name, rule in self.events.items() if "*" not in name}

    @property
    def patterns(self) -> dict[str, EventRule]:
        """The names that stand for many, in their order."""
        return {name: rule for name, rule in self.events.items() if "*" in name}

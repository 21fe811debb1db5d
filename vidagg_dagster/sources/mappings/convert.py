"""Records of a vocabulary -> the columns of an event, as columns of the engine.

Every value is text on its way: an object inside a record is the text of its JSON, and so is a text
that holds JSON, a map and an array. One way to read serves them all.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import EVENT_COLUMNS, SourceSpec
from vidagg_dagster.core.dimensions import NO_DIMENSIONS, Dimensions, carried, dimensions_among
from vidagg_dagster.core.event_mapping import (
    EACH,
    INNER,
    EventColumn,
    EventMapping,
    Place,
    PositionUnit,
)
from vidagg_dagster.core.record_path import Element, Entry, RecordPath, Step, parse_path
from vidagg_dagster.core.vocabulary import LAST_START, RANKS, SEEK, SEEKING
from vidagg_dagster.sources.columns import (
    MALFORMED,
    SOURCE_FILE,
    TYPED_TIMESTAMP,
    ColumnRequest,
    typed_name,
)
from vidagg_dagster.sources.dimensions import places_of
from vidagg_dagster.sources.text_lines import json_array, json_object
from vidagg_dagster.spark.parsing import (
    clock_duration,
    epoch_us,
    instant_us,
    iso_duration,
    number,
    said,
    seconds_text,
    time_text,
    trimmed,
)
from vidagg_dagster.spark.payload import PAYLOAD

_POSITIONS: Final[tuple[EventColumn, ...]] = ("currentTime", "seekFrom")
_STALE_S: Final = 1.0
"""A place this near to where a seek began is still the place before the seek."""

_PER_SECOND: Final[Mapping[PositionUnit, float]] = {
    "s": 1.0,
    "ms": 1e3,
    "us": 1e6,
    "ticks": 1e7,
}
_RATE: Final = "[xX]$"


@dataclass(frozen=True)
class Conversion:
    """A mapping and what the settings say otherwise."""

    mapping: EventMapping
    columns: Mapping[str, tuple[Place, ...]]
    time_formats: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, mapping: EventMapping, spec: SourceSpec, dimensions: Dimensions = NO_DIMENSIONS
    ) -> "Conversion":
        """The mapping of a source. Columns of its settings are paths, and go before the mapping's.

        Dimensions are columns too, named as they are `carried`.

        Raises:
            ValueError: Such a column is no path.
        """
        usual: dict[str, tuple[Place, ...]] = {str(n): p for n, p in mapping.columns.items()}
        own = {ours: (Place(paths=(theirs,)),) for ours, theirs in spec.columns.items()}
        more = {carried(n): places_of(n, theirs, mapping) for n, theirs in dimensions.items()}
        return cls(mapping, {**usual, **own, **more}, spec.time_formats)

    def request(self) -> ColumnRequest:
        """The columns of the source that the mapping begins at."""
        array = [] if self._each is None else [self._each]
        names = self._first_steps([*self._all_paths(), *array])
        keys = {name: f"_column{at}" for at, name in enumerate(names)}
        one_of = {
            ours: tuple(keys[name] for name in self._first_steps(_paths(places)))
            for ours, places in self.columns.items()
            if ours in _NEEDED_IN_FILES and all(place.literal is None for place in places)
        }
        return ColumnRequest(
            columns={key: name for name, key in keys.items()},
            required=(),
            one_of=one_of,
        )

    def convert(self, rows: DataFrame, timezone: str) -> DataFrame:
        """What `request` read -> the frame that `read.read_source` describes.

        `timezone` is the zone of times that carry none.
        """
        keys = {theirs: key for key, theirs in self.request().columns.items()}
        known = [SOURCE_FILE, PAYLOAD, MALFORMED]
        read = rows.select(*known, *keys.values())
        texts: dict[RecordPath, Column] = {(name,): F.col(key) for name, key in keys.items()}
        if self._each is not None:
            read, values = _extracted(read, texts, [self._each], "_outer")
            listed = values[self._each]
            if self.mapping.each_form == "segments":
                listed = _segments(listed)
            read = read.select("*", F.explode_outer(json_array(listed)).alias(EACH))
            texts[EACH,] = F.col(EACH)
        if self.mapping.inner is not None:
            inside = parse_path(self.mapping.inner)
            read, values = _extracted(read, texts, [inside], "_middle")
            read = read.select("*", F.explode_outer(json_array(values[inside])).alias(INNER))
            texts[INNER,] = F.col(INNER)
        read, values = _extracted(read, texts, self._all_paths(), "_inner")
        events = read.select(
            *[column.alias(ours) for ours, column in self._columns(values).items()],
            F.lit(None).cast("timestamp").alias(TYPED_TIMESTAMP),
            *known,
        )
        if self.mapping.in_sequence:
            events = self._in_sequence(events, timezone)
        return events

    def _all_paths(self) -> list[RecordPath]:
        rules = self.mapping.events.values()
        places = [
            *self.columns.values(),
            *(own for rule in rules for own in rule.columns.values()),
        ]
        return list(dict.fromkeys(path for some in places for path in _paths(some)))

    @property
    def _each(self) -> RecordPath | None:
        return parse_path(self.mapping.each) if self.mapping.each is not None else None

    def _first_steps(self, paths: Iterable[RecordPath]) -> list[str]:
        """The columns of the source that paths begin at; of elements that of their array."""
        begins = (
            self._each[0] if self._each is not None and path[0] in (EACH, INNER) else path[0]
            for path in paths
        )
        return list(dict.fromkeys(map(str, begins)))

    def _columns(self, values: Mapping[RecordPath, Column]) -> dict[str, Column]:
        """Our columns in the order of an event, and the typed ones."""
        name = F.lower(trimmed(_first(self.columns["eventName"], values)))
        columns: dict[str, Column] = {}
        for ours in EVENT_COLUMNS:
            if ours == "eventId" and ours not in self.columns:
                continue
            columns[ours] = self._chosen(ours, name, values, _first)
            if ours in _POSITIONS:
                columns[typed_name(ours)] = self._chosen(ours, name, values, _seconds)
        columns["playbackRate"] = F.regexp_replace(columns["playbackRate"], _RATE, "")
        columns[typed_name("playbackRate")] = F.lit(None).cast("double")
        for dimension in map(carried, dimensions_among(self.columns)):
            columns[dimension] = _first(self.columns[dimension], values)
        return columns

    def _chosen(
        self, ours: str, name: Column, values: Mapping[RecordPath, Column], read: "_Read"
    ) -> Column:
        """A value, from where the event of this name has it."""
        usual = read(self.columns.get(ours, ()), values)
        own = [
            (event, read(places, values))
            for event, rule in self.mapping.exact.items()
            for column, places in rule.columns.items()
            if column == ours
        ]
        if not own:
            return usual
        (event, value), *others = own
        chain = F.when(name == event, value)
        for event, value in others:
            chain = chain.when(name == event, value)
        return chain.otherwise(usual)

    def _in_sequence(self, events: DataFrame, timezone: str) -> DataFrame:
        """What an event takes from those before it in its session."""
        names = events.columns
        # By itself: spelled out in each of its uses, Sail would plan it for seconds.
        rows = events.withColumn("_time", time_text(F.col("timestamp"), self.time_formats))
        us = instant_us(F.col("_time"), timezone)
        if self.mapping.timestamp_unit is not None:
            us = F.coalesce(us, epoch_us(F.col("timestamp"), self.mapping.timestamp_unit))
        rows = rows.withColumn("_us", us)
        # Rows without a session take nothing from others, and must not all meet in one place.
        session = F.coalesce("sessionId", F.concat(F.lit("\0"), F.col("timestamp")))
        rows = rows.withColumn("_session", session)
        instant = Window.partitionBy("_session", "_us")
        so_far = Window.partitionBy("_session").orderBy("_us")
        for ours in self.mapping.fill_down:
            # Events of one instant have no order, so they all get the same.
            rows = rows.withColumn(ours, F.coalesce(ours, F.max(ours).over(instant)))
            last = F.last(ours, ignorenulls=True).over(so_far)
            rows = rows.withColumn(ours, F.coalesce(ours, last))
        if self.mapping.stale_play:
            rows = self._without_stale_plays(rows)
        return rows.select(*names)

    def _without_stale_plays(self, rows: DataFrame) -> DataFrame:
        """A start right after a seek that still names the place before it gets the new place."""
        position, origin = typed_name("currentTime"), typed_name("seekFrom")
        name = F.lower(trimmed(F.col("eventName")))
        before = Window.partitionBy("_session", "userId", "videoId").orderBy(
            "_us", name.desc(), position
        )
        told = {
            "_seeks": name.isin(*self._names_of(SEEKING, SEEK)),
            "_to": F.col(position),
            "_from": F.col(origin),
        }
        rows = rows.select("*", *[F.lag(c).over(before).alias(n) for n, c in told.items()])
        stale = (
            name.isin(*self._names_of(*range(LAST_START + 1)))
            & F.col("_seeks")
            & (F.abs(F.col(position) - F.col("_from")) <= _STALE_S)
            & (F.abs(F.col(position) - F.col("_to")) > _STALE_S)
        )
        return rows.withColumn(position, F.when(stale, F.col("_to")).otherwise(F.col(position)))

    def _names_of(self, *ranks: int) -> list[str]:
        return [name for name, rule in self.mapping.exact.items() if RANKS.get(rule.to) in ranks]


_NEEDED_IN_FILES: Final = ("timestamp", "eventName", "currentTime")
"""Without a column of one of these, no row can be an event. Ids may come from other events."""


_Read = Callable[[Sequence[Place], Mapping[RecordPath, Column]], Column]


def _paths(places: Iterable[Place]) -> list[RecordPath]:
    return [path for place in places for path in place.steps]


def _segments(text: Column) -> Column:
    """`0[.]12[,]30[.]40` as an array of JSON: [[0,12],[30,40]]."""
    pairs = F.replace(F.replace(text, F.lit("[,]"), F.lit("],[")), F.lit("[.]"), F.lit(","))
    return F.concat(F.lit("[["), pairs, F.lit("]]"))


def _text(place: Place, values: Mapping[RecordPath, Column]) -> Column:
    if place.literal is not None:
        return F.lit(place.literal)
    texts = [said(values[path]) for path in place.steps[: len(place.paths)]]
    if len(texts) == 1:
        return texts[0]
    joined = F.concat_ws(place.separator, *texts)
    return F.when(F.coalesce(*texts).isNotNull(), joined)


def _first(places: Sequence[Place], values: Mapping[RecordPath, Column]) -> Column:
    # Of a sum there is no text.
    texts = [_text(place, values) for place in places if place.plus is None]
    if not texts:
        return F.lit(None).cast("string")
    return F.coalesce(*texts) if len(texts) > 1 else texts[0]


def _seconds(places: Sequence[Place], values: Mapping[RecordPath, Column]) -> Column:
    """The first position that is said, in seconds; null where it is no number of its unit."""
    result = F.lit(None).cast("double")
    for place in reversed(places):
        text = _text(place, values)
        seconds = _as_seconds(text, place.unit)
        if place.plus is not None:
            seconds = seconds + _as_seconds(said(values[place.steps[-1]]), place.unit)
        # Of the first place that says something, even if that is no number.
        result = F.when(text.isNotNull(), seconds).otherwise(result)
    return result


def _as_seconds(text: Column, unit: PositionUnit) -> Column:
    if unit in _PER_SECOND:
        return number(text) / F.lit(_PER_SECOND[unit])
    read = {"iso8601": iso_duration, "clock": clock_duration, "seconds_text": seconds_text}
    return read[unit](text)


def _extracted(
    rows: DataFrame, known: Mapping[RecordPath, Column], paths: Sequence[RecordPath], prefix: str
) -> tuple[DataFrame, dict[RecordPath, Column]]:
    """`rows` with objects parsed, and the text at each path, beside the `known` texts.

    Names of the columns that it adds begin with `prefix`.

    Each object is parsed once, a level of the record at a time: engines may compute an expression
    again for each of its uses.
    """
    texts = dict(known)
    for depth in range(1, max(map(len, paths))):
        inner: dict[RecordPath, list[Step]] = {}
        for path in dict.fromkeys(path[: depth + 1] for path in paths if len(path) > depth):
            inner.setdefault(path[:depth], []).append(path[depth])
        parsed: list[Column] = []
        for at, (parent, steps) in enumerate(inner.items()):
            for step, column, value in _readings(texts[parent], steps, f"{prefix}{depth}p{at}"):
                if column is not None:
                    parsed.append(column)
                texts[*parent, step] = value
        rows = rows.select("*", *parsed)
    return rows, texts


def _readings(
    text: Column, steps: Sequence[Step], name: str
) -> Iterable[tuple[Step, Column | None, Column]]:
    """For each step into `text`: the column to add first, if it is not added yet, and the value."""
    fields = [step for step in steps if isinstance(step, str)]
    for at, step in enumerate(fields):
        column = json_object(text, fields).alias(name) if at == 0 else None
        yield step, column, F.col(name).getField(step)
    elements = [step for step in steps if isinstance(step, Element)]
    for at, element in enumerate(elements):
        column = json_array(text).alias(f"{name}a") if at == 0 else None
        yield element, column, F.get(F.col(f"{name}a"), F.lit(element.index))
    entries = [step for step in steps if isinstance(step, Entry)]
    inside = list(dict.fromkeys(name for e in entries for name in (e.field, e.take)))
    for at, entry in enumerate(entries):
        column = json_array(text, inside).alias(f"{name}e") if at == 0 else None
        yield entry, column, _entry(F.col(f"{name}e"), entry)


def _entry(array: Column, entry: Entry) -> Column:
    found = F.filter(array, lambda element: element.getField(entry.field) == entry.equals)
    return F.get(found, F.lit(0)).getField(entry.take)

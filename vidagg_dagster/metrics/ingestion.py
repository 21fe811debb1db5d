"""Input rows -> events: every row ends accepted, duplicate, ignored or rejected with reasons."""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import reduce
from typing import Final

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.core.days import EARLIEST
from vidagg_dagster.core.dimensions import carried, dimensions_among
from vidagg_dagster.core.event_mapping import REJECT
from vidagg_dagster.core.schemas import (
    EVENT_DATE,
    INGESTION_COUNTS,
    RAW_EVENTS,
    REJECTED_EVENTS,
    TableSpec,
)
from vidagg_dagster.core.vocabulary import (
    ALIASES,
    IGNORE,
    RANK_OF,
    REASONS,
    REJECTED_PREFIX,
    REPORTED,
    SEEK,
    SEEKING,
)
from vidagg_dagster.metrics.duplicates import AGAIN, Duplicates
from vidagg_dagster.metrics.from_events import IGNORED_BIT, REASON_BITS
from vidagg_dagster.spark.arrow import ANY_SIZE, Spread
from vidagg_dagster.spark.columns import chosen, day_of, milliseconds
from vidagg_dagster.spark.compat import try_cast
from vidagg_dagster.spark.parsing import (
    epoch_us,
    filled,
    finite_number,
    instant_us,
    meaning,
    number,
    time_text,
    trimmed_id,
)
from vidagg_dagster.spark.payload import payload_hash, payload_text

ACCEPTED: Final = "accepted"
DUPLICATE: Final = "duplicate"
IGNORED: Final = "ignored"
REJECTED: Final = "rejected"
OUTCOME: Final = "outcome"

UNKNOWN_NAME: Final = "unknownName"
MOST_NAMES: Final = 5
"""How many unknown names are told."""
_MAX_NAME_SHOWN: Final = 100

MAX_PLAYBACK_RATE: Final = 16
_BEGIN: Final = datetime.combine(EARLIEST, time(), UTC)
BEFORE: Final = datetime(2100, 1, 1, tzinfo=UTC)
"""Times from here on are out of range: nobody's clock is wrong by that much and tells a day."""
LATEST_AFTER_RUN: Final = timedelta(days=1)

_MARGIN: Final = timedelta(days=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PATH_DATE: Final = "(?s)^(?:.*[^0-9])?([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8})(?:[^0-9].*)?$"


def classify(
    source: DataFrame,
    *,
    spec: SourceSpec,
    start_date: date | None,
    timezone: str,
    run_time: datetime | None,
) -> DataFrame:
    """Judge every row of `source` (see `sources.read_source`).

    Returns one row per input row: event_date, timestamp, userId, sessionId, videoId, eventName
    (canonical), positionMs, playbackRate, seekFromMs, eventId, sourceFile; `reasons` (why it is
    rejected, in the order of `REASONS`; empty if it is not), `payload` (rejected rows only),
    `unknownName` (the event's name in lower case, where it is not known), `outcome`
    (`accepted`, `duplicate`, `ignored` or `rejected`), and the dimensions that `source` carries.

    Args:
        source: The source frame.
        spec: How times without zone and bare numbers are to be understood.
        start_date: Earliest day for rows without a usable timestamp, and their day where their
            file's path names none. None: they then have no day (null).
        timezone: The zone whose calendar days `event_date` counts.
        run_time: Ingestion time; later timestamps than a day after it are out of range. None where
            days are run one by one: a row then is of the day that it names, whenever it arrives,
            and no clock decides whether a day finds it.
    """
    rows = judge(source, spec=spec, start_date=start_date, timezone=timezone, run_time=run_time)
    return find_duplicates(rows)


def find_duplicates(judged: DataFrame, *, spread: Spread = ANY_SIZE) -> DataFrame:
    """What `judge` gives -> what `classify` gives."""
    # Rows that are no events must not all meet in the partition of one missing user.
    player = F.xxhash64("userId", "sessionId", "videoId")
    by_player = F.when(F.col("_broken"), F.col("_hash")).otherwise(player)
    with_flag = T.StructType([*judged.schema.fields, T.StructField(AGAIN, T.BooleanType())])
    outcome = (
        F.when(F.col("_ignored"), F.lit(IGNORED))
        .when(F.col("_broken"), F.lit(REJECTED))
        .when(F.col(AGAIN), F.lit(DUPLICATE))
        .otherwise(ACCEPTED)
    )
    marked = spread.apply(judged, Duplicates(), with_flag, by=by_player)
    return marked.withColumn(OUTCOME, outcome).select(
        EVENT_DATE,
        "timestamp",
        "userId",
        "sessionId",
        "videoId",
        "eventName",
        "positionMs",
        "playbackRate",
        "seekFromMs",
        "eventId",
        "sourceFile",
        "reasons",
        "payload",
        UNKNOWN_NAME,
        OUTCOME,
        *_dimensions(judged),
    )


def judge(
    source: DataFrame,
    *,
    spec: SourceSpec,
    start_date: date | None,
    timezone: str,
    run_time: datetime | None,
) -> DataFrame:
    """As `classify`, but without looking for duplicates.

    Instead of `outcome` rows have `_ignored`, `_broken` (whether ignored or rejected),
    `_reasonBits` (see `REASON_BITS`), `_rank` (of the event's name, null without one) and `_hash`
    (of what was read).
    """
    rows = _parsed(source, spec, run_time)
    payload = payload_text(source.schema)
    return _judged(rows, payload, start_date, timezone, _dimensions(source))


def of_days(judged: DataFrame, days: Column) -> DataFrame:
    """The judged rows for which `days`, a condition on their day, holds.

    Behind an explode no engine moves the condition down to the source, where the day would be
    spelled out as all of the parsing, several times over: Sail planned that for minutes.
    """
    return judged.withColumn(EVENT_DATE, F.explode(F.array(EVENT_DATE))).where(days)


def near_days(source: DataFrame, days: Collection[date]) -> DataFrame:
    """Without rows whose typed time lies more than a day off `days`, whatever the zone.

    A plain comparison, which engines move down to the files: of a large table only those parts are
    read that may hold the days. Rows without a usable time stay: they have a day of their own.
    """
    when = F.col("typedTimestamp")
    begin = datetime.combine(min(days) - _MARGIN, time(), UTC)
    end = datetime.combine(max(days) + 2 * _MARGIN, time(), UTC)
    near = (when >= F.lit(begin)) & (when < F.lit(end))
    unusable = when.isNull() | (when < F.lit(_BEGIN)) | (when >= F.lit(BEFORE))
    return source.where(near | unusable)


def accepted(classified: DataFrame) -> DataFrame:
    """The rows of `RAW_EVENTS`, with the dimensions that are carried."""
    rows = classified.where(F.col(OUTCOME) == ACCEPTED)
    dimensions = dimensions_among(classified.columns)
    return _as_table(rows, RAW_EVENTS, *[F.col(carried(n)).alias(n) for n in dimensions])


def rejected(classified: DataFrame) -> DataFrame:
    """The rows of `REJECTED_EVENTS`."""
    return _as_table(classified.where(F.col(OUTCOME) == REJECTED), REJECTED_EVENTS)


COUNTED: Final = (
    *("input", "accepted", "duplicates", "ignored", "rejected"),
    *(f"{REJECTED_PREFIX}{name}" for name in REASONS),
)
"""The measures of `INGESTION_COUNTS`."""


def outcome_counts(classified: DataFrame, *by: str) -> DataFrame:
    """One row per group of rows that share `by`: how many became what, for `counts_of`."""
    outcome = F.col(OUTCOME)
    counts = (
        F.lit(True),
        *(outcome == name for name in (ACCEPTED, DUPLICATE, IGNORED, REJECTED)),
        *(F.array_contains("reasons", name) for name in REASONS),
    )
    return classified.groupBy(*by).agg(
        *[F.count_if(counted).alias(f"c{at}") for at, counted in enumerate(counts)]
    )


def counts_of(row: Row) -> dict[str, int]:
    """Measure -> rows, of a row of `outcome_counts`."""
    return {name: row[f"c{at}"] for at, name in enumerate(COUNTED)}


def ingestion_counts(classified: DataFrame) -> DataFrame:
    """The rows of `INGESTION_COUNTS`: for each day with input all measures, also those of 0."""
    per_day = outcome_counts(classified, EVENT_DATE)
    measures = F.array(
        *[
            F.struct(F.lit(name).alias("measure"), F.col(f"c{at}").alias("value"))
            for at, name in enumerate(COUNTED)
        ]
    )
    return _as_table(per_day.select(EVENT_DATE, F.inline(measures)), INGESTION_COUNTS)


def unknown_names(judged: DataFrame) -> dict[str, int]:
    """The commonest unknown names of events in judged or classified rows, with their rows."""
    return _commonest(judged.select(UNKNOWN_NAME, F.lit(1).alias("rows")))


def unknown_names_of_source(source: DataFrame, spec: SourceSpec) -> dict[str, int]:
    """As `unknown_names`, of rows that are not judged: their names are read, and nothing else.

    Few names are judged instead of many rows.
    """
    malformed = F.coalesce(F.col("malformed"), F.lit(False)).alias("_malformed")
    texts = source.select("eventName", malformed)
    by_text = texts.groupBy("eventName", "_malformed").agg(F.count(F.lit(1)).alias("rows"))
    names = by_text.select(_name(), "_malformed", "rows")
    ranked = names.select("*", _rank(F.col("_name"), spec).alias("_rank"))
    ignored = F.coalesce(F.col("_rank") == _IGNORED, F.lit(False))
    judged = ranked.withColumn("_ignored", ignored)
    return _commonest(judged.select(_unknown_name().alias(UNKNOWN_NAME), "rows"))


def _commonest(names: DataFrame) -> dict[str, int]:
    # Rows without an unknown name are left out here and not by the engine: Sail loses a column
    # where it filters the lines of a CSV file by one of their values.
    counted = names.groupBy(UNKNOWN_NAME).agg(F.sum("rows").alias("rows"))
    commonest = counted.orderBy(F.col("rows").desc(), UNKNOWN_NAME).limit(MOST_NAMES + 2)
    named = [(row[UNKNOWN_NAME], row["rows"]) for row in commonest.collect() if row[UNKNOWN_NAME]]
    return dict(named[:MOST_NAMES])


def rows_by_file(
    source: DataFrame, *, spec: SourceSpec, start_date: date | None, timezone: str
) -> DataFrame:
    """One row per file and day: sourceFile (null for tables), event_date, rows and checksum.

    Days are told as by `classify` without a clock, of all rows. The checksum is a sum over hashes
    of the rows, so that their order does not matter.
    """
    parsed = _parsed(source, spec, None)
    return (
        parsed.select("sourceFile", "_hash", _event_date(start_date, timezone).alias(EVENT_DATE))
        .groupBy("sourceFile", EVENT_DATE)
        .agg(
            F.count(F.lit(1)).alias("rows"),
            # Halves of hashes, whose sum cannot overflow.
            F.sum(F.col("_hash").bitwiseAND(F.lit(0xFFFFFFFF))).alias("checksum"),
        )
    )


def _as_table(rows: DataFrame, table: TableSpec, *more: Column) -> DataFrame:
    return rows.select(*[F.col(c.name).cast(c.type).alias(c.name) for c in table.columns], *more)


def _dimensions(rows: DataFrame) -> list[str]:
    return [carried(name) for name in dimensions_among(rows.columns)]


def _parsed(source: DataFrame, spec: SourceSpec, run_time: datetime | None) -> DataFrame:
    """Values beside the texts that they come from. No value here is judged yet."""
    textless = _textless(source.schema)

    def or_told(typed: Column, name: str, text: str, parse: Callable[[Column], Column]) -> Column:
        """The typed value, or else what the text says."""
        return typed if name in textless else F.coalesce(typed, _where_told(F.col(text), parse))

    def instant(time: Column) -> Column:
        us = instant_us(time, spec.timezone)
        unit = spec.number_unit
        return us if unit is None else F.coalesce(us, epoch_us(time, unit))

    rate = or_told(F.col("typedPlaybackRate"), "playbackRate", "_rate", finite_number)
    position = or_told(F.col("typedCurrentTime"), "currentTime", "_position", number)
    seek_from = or_told(F.col("typedSeekFrom"), "seekFrom", "_from", finite_number)
    return (
        _trimmed(source, spec, textless)
        .select(
            "*",
            or_told(F.unix_micros("typedTimestamp"), "timestamp", "_time", instant).alias("_us"),
            position.alias("_seconds"),
            (F.col("_hasNumber") | F.col("_position").isNotNull()).alias("_hasPosition"),
            (F.col("typedSeekFrom").isNotNull() | F.col("_from").isNotNull()).alias("_hasFrom"),
            F.when((rate > 0) & (rate <= MAX_PLAYBACK_RATE), rate).alias("playbackRate"),
            seek_from.alias("_fromSeconds"),
            _rank(F.col("_name"), spec).alias("_named"),
            _is_position(position, spec).alias("_positionOk"),
        )
        .select(
            "*",
            F.nullif(F.col("_named"), F.lit(_IGNORED)).alias("_rank"),
            (~F.col("_malformed") & F.coalesce(F.col("_named") == _IGNORED, F.lit(False))).alias(
                "_ignored"
            ),
            F.when(_is_position(F.col("_fromSeconds"), spec), F.col("_fromSeconds")).alias(
                "_seekFrom"
            ),
            F.col("_us").between(_us(_BEGIN), _latest_us(run_time)).alias("_in_range"),
        )
    )


def _textless(source: T.StructType) -> set[str]:
    """The columns without any text: nothing that parses it has to be planned."""
    void = {field.name for field in source if isinstance(field.dataType, T.NullType)}
    return void | {"eventId"} - set(source.names)


def _trimmed(source: DataFrame, spec: SourceSpec, textless: Collection[str]) -> DataFrame:
    """Texts without white space, and null where they say nothing; typed values as they are."""
    names = {
        **{name: name for name in ("userId", "sessionId", "videoId", "eventId")},
        **{"_position": "currentTime", "_rate": "playbackRate", "_from": "seekFrom"},
        **{name: name for name in _dimensions(source)},
    }
    told = [name for name, theirs in names.items() if theirs not in textless]
    untold = [_no_text().alias(name) for name in names if name not in told]
    numbers = ("typedCurrentTime", "typedPlaybackRate", "typedSeekFrom")
    time = (
        _no_text()
        if "timestamp" in textless
        else _where_told(
            F.col("timestamp"), lambda text: time_text(filled(text), spec.time_formats)
        )
    )
    return source.select(
        "typedTimestamp",
        *[_finite(F.col(typed)).alias(typed) for typed in numbers],
        F.col("typedCurrentTime").isNotNull().alias("_hasNumber"),
        "payload",
        payload_hash(source.schema).alias("_hash"),
        "sourceFile",
        F.coalesce(F.col("malformed"), F.lit(False)).alias("_malformed"),
        time.alias("_time"),
        _name(),
        *[trimmed_id(F.col(names[name])).alias(name) for name in told],
        *untold,
    ).withColumns({name: meaning(F.col(name)) for name in told})


def _no_text() -> Column:
    return F.lit(None).cast("string")


def _where_told(text: Column, parse: Callable[[Column], Column]) -> Column:
    """`parse(text)`, which is null of null. Sail then spares a column without any text the work."""
    return F.when(text.isNotNull(), parse(text))


def _is_position(seconds: Column, spec: SourceSpec) -> Column:
    in_range = (seconds >= 0) & (seconds <= spec.max_position_s)
    return F.coalesce(in_range & ~F.isnan(seconds), F.lit(False))


def _finite(value: Column) -> Column:
    return F.when(F.abs(value) < F.lit(float("inf")), value)


def _judged(
    rows: DataFrame,
    payload: Column,
    start_date: date | None,
    timezone: str,
    dimensions: Collection[str],
) -> DataFrame:
    has_time = F.col("_time").isNotNull() | F.col("typedTimestamp").isNotNull()
    position_ok, ignored = F.col("_positionOk"), F.col("_ignored")
    is_report = F.coalesce(F.col("_rank") == REPORTED, F.lit(False))
    begins = F.col("_seekFrom") <= F.col("_seconds")
    rules = {
        "missing_timestamp": ~has_time,
        "unparsable_timestamp": has_time & F.col("_us").isNull(),
        "timestamp_out_of_range": ~F.coalesce(F.col("_in_range"), F.lit(True)),
        "missing_user": F.col("userId").isNull(),
        "missing_session": F.col("sessionId").isNull(),
        "missing_video": F.col("videoId").isNull(),
        "unknown_event": F.col("_rank").isNull(),
        "missing_position": ~F.col("_hasPosition") | (is_report & ~F.col("_hasFrom")),
        "invalid_position": F.col("_hasPosition")
        & (~position_ok | (is_report & F.col("_hasFrom") & ~F.coalesce(begins, F.lit(False)))),
    }
    malformed = F.col("_malformed")
    rejected_ = ~ignored & reduce(lambda left, right: left | right, rules.values(), malformed)
    # Built only for the few rows that need it.
    reasons = F.when(
        rejected_,
        F.when(malformed, F.array(F.lit("malformed_row"))).otherwise(
            F.array_compact(F.array(*[F.when(rule, F.lit(name)) for name, rule in rules.items()]))
        ),
    ).otherwise(F.array().cast("array<string>"))
    return rows.select(
        _event_date(start_date, timezone).alias(EVENT_DATE),
        _instant().alias("timestamp"),
        "userId",
        "sessionId",
        "videoId",
        chosen((F.col("_rank") == rank, name) for name, rank in RANK_OF.items()).alias("eventName"),
        F.when(position_ok, milliseconds(F.col("_seconds"))).alias("positionMs"),
        "playbackRate",
        F.when(
            F.col("_rank").isin(SEEK, SEEKING, REPORTED), milliseconds(F.col("_seekFrom"))
        ).alias("seekFromMs"),
        "eventId",
        "sourceFile",
        reasons.alias("reasons"),
        F.when(rejected_, payload).alias("payload"),
        _unknown_name().alias(UNKNOWN_NAME),
        (ignored | rejected_).alias("_broken"),
        "_ignored",
        F.when(ignored, F.lit(1 << IGNORED_BIT))
        .otherwise(_reason_bits(malformed, rules))
        .alias(REASON_BITS),
        "_hash",
        "_rank",
        *dimensions,
    )


def _name() -> Column:
    return F.lower(trimmed_id(F.col("eventName"))).alias("_name")


def _unknown_name() -> Column:
    unknown = F.col("_rank").isNull() & ~F.col("_malformed") & ~F.col("_ignored")
    return F.when(unknown, F.substring("_name", 1, _MAX_NAME_SHOWN))


def _reason_bits(malformed: Column, rules: Mapping[str, Column]) -> Column:
    """Bit n for reason n of `REASONS`: what takes least to carry along and count."""
    bits = F.lit(0)
    for name, rule in rules.items():
        bits = bits + F.when(rule, F.lit(1 << REASONS.index(name))).otherwise(F.lit(0))
    return F.when(malformed, F.lit(1 << REASONS.index("malformed_row"))).otherwise(bits)


def _usable_time() -> Column:
    return ~F.col("_malformed") & F.coalesce(F.col("_in_range"), F.lit(False))


def _instant() -> Column:
    return F.when(_usable_time(), F.timestamp_micros("_us"))


def _event_date(start_date: date | None, timezone: str) -> Column:
    """The day of a parsed row."""
    by_time = day_of(_instant(), timezone)
    otherwise = _day_without_time(F.col("sourceFile"), start_date)
    return F.when(_usable_time(), by_time).otherwise(otherwise)


_IGNORED: Final = -1
_REJECTED: Final = -2


def _rank(name: Column, spec: SourceSpec) -> Column:
    """The rank of our name for an event, `_IGNORED`, or null.

    A mapping of the settings goes before all others. A vocabulary has its own names alone: what
    else it may contain must not be taken for ours.
    """
    ranks = {**RANK_OF, IGNORE: _IGNORED, REJECT: _REJECTED}
    vocabulary = spec.mapping.events if spec.mapping is not None else {}
    own = {name: name for name in RANK_OF}
    known = {name: rule.to for name, rule in vocabulary.items()} or {**own, **ALIASES}
    by_rank: dict[int, list[str]] = {}
    for theirs, target in {**known, **spec.event_names}.items():
        if "*" not in theirs:
            by_rank.setdefault(ranks[target], []).append(theirs)
    named = chosen(
        [
            *((name.isin(*theirs), rank) for rank, theirs in by_rank.items()),
            *((name.like(_like(n)), ranks[rule.to]) for n, rule in vocabulary.items() if "*" in n),
        ]
    )
    return F.nullif(named, F.lit(_REJECTED)) if vocabulary else named


def _like(pattern: str) -> str:
    """A name with `*` as a pattern of SQL."""
    plain = pattern.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return plain.replace("*", "%")


def _day_without_time(path: Column, start_date: date | None) -> Column:
    found = F.regexp_extract(path, _PATH_DATE, 1)
    digits = F.replace(found, F.lit("-"), F.lit(""))
    parts = F.substring(digits, 1, 4), F.substring(digits, 5, 2), F.substring(digits, 7, 2)
    day = try_cast(F.concat_ws("-", *parts), "date")
    return day if start_date is None else F.greatest(day, F.lit(start_date))


def _latest_us(run_time: datetime | None) -> int:
    """The latest instant that is in range."""
    end = _us(BEFORE) - 1
    return end if run_time is None else min(end, _us(run_time + LATEST_AFTER_RUN))


def _us(instant: datetime) -> int:
    aware = instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)

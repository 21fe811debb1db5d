"""Text -> values, the same on every engine: patterns decide what is valid, never a cast."""

from collections.abc import Sequence
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.utils import is_remote

from vidagg_dagster.core.contract import TimestampUnit
from vidagg_dagster.core.time_format import TimeFormat, parse_time_format
from vidagg_dagster.spark.compat import trim, try_cast

WHITESPACE: Final = "".join(
    map(
        chr,
        (
            *range(0x09, 0x0E),
            *range(0x1C, 0x21),
            0x85,
            0xA0,
            0x1680,
            *range(0x2000, 0x200B),
            0x2028,
            0x2029,
            0x202F,
            0x205F,
            0x3000,
        ),
    )
)
"""The white space that `str.strip()` removes: that of Unicode."""

WORDS_FOR_NOTHING: Final = (
    "NULL",
    "null",
    "None",
    "nan",
    "undefined",
    "N/A",
    r"\N",
    "-",
    "00000000-0000-0000-0000-000000000000",
)
"""What exporters write into formats that know no null."""

NUMBER: Final = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"
# Casts also accept '0x1p3', '1d', 'Infinity' or '1_000', and engines differ in which.

_INSTANT: Final = (
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]([01][0-9]|2[0-3]):[0-5][0-9]"
    r"(:[0-5][0-9](\.[0-9]{1,9})?)?(Z|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)?$"
)
_OTHER_NOTATION: Final = r"[a-z,\[]|^[0-9]{8}T|[0-9](UTC|GMT)| [A-Z+-]"
_BASIC: Final = "^([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})"
_COMMA: Final = "^(.{19}),([0-9])"
_UTC: Final = r" ?(UTC|GMT|Z\[UTC\]|Z)$"
_APART: Final = " ([+-][0-9:]+)$"
_MAIL: Final = ("%a, %d %b %Y %H:%M:%S %z", "%d %b %Y %H:%M:%S %z")
_MAIL_LIKE: Final = "^([A-Za-z]{3}, *)?[0-9]{1,2} +[A-Za-z]{3} "
_MONTHS: Final = (
    *("JANUARY", "FEBRUARY", "MARCH", "APRIL", "MAY", "JUNE", "JULY", "AUGUST", "SEPTEMBER"),
    *("OCTOBER", "NOVEMBER", "DECEMBER"),
)
_DURATION: Final = (
    r"^P(?:([0-9]+)D)?(?:T(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+(?:[.,][0-9]*)?)S)?)?$"
)
_CLOCK: Final = r"^(?:(?:([0-9]+):)?([0-9]+):)?([0-9]+(?:[.,][0-9]*)?)$"
_SECONDS: Final = r"^([0-9.]+(?:[eE][+-]?[0-9]+)?) ?s$"
_DATE: Final = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_INTEGER: Final = "^[+-]?[0-9]{1,18}$"
_LONG_INTEGER: Final = "^[+-]?[0-9]{19,}$"
_DECIMAL: Final = r"^[0-9]{1,18}\.[0-9]*$"

_US_PER_SECOND: Final = 1_000_000
_FRACTION_DIGITS: Final[dict[str, int]] = {"s": 6, "ms": 3, "us": 0}


def trimmed(text: Column) -> Column:
    """`text` without Unicode white space at its ends."""
    return trim(text, WHITESPACE)


def filled(text: Column) -> Column:
    """`text` trimmed; null where nothing is left."""
    return F.nullif(trimmed(text), F.lit(""))


def trimmed_id(text: Column) -> Column:
    """As `trimmed`, for columns of which hardly any value has white space at its ends.

    Spark's JVM trims in ten times the time that it takes to look at both ends. Sail, which is
    remote, trims faster than it looks.
    """
    if is_remote():
        return trimmed(text)
    last = F.substring(text, -1, 1)
    plain = (text >= "!") & (text < "\x7f") & (last >= "!") & (last < "\x7f")
    return F.when(plain, text).otherwise(trimmed(text))


def said(text: Column) -> Column:
    """`text` trimmed; null where nothing is left, and where a word stands for nothing."""
    return meaning(trimmed(text))


def meaning(trimmed_text: Column) -> Column:
    """The text; null where nothing is left of it, and where it is a word for nothing."""
    return F.when(~trimmed_text.isin("", *WORDS_FOR_NOTHING), trimmed_text)


def number(text: Column) -> Column:
    """Trimmed text -> double, null unless it is a plain decimal number. 1e400 becomes infinite."""
    return F.when(text.rlike(NUMBER), try_cast(text, "double"))


def finite_number(text: Column) -> Column:
    """Trimmed text -> finite double; null for anything else."""
    value = number(text)
    return F.when(F.abs(value) < F.lit(float("inf")), value)


def iso_duration(text: Column) -> Column:
    """An ISO 8601 duration such as PT1M30.5S -> seconds; null for any other text."""
    return F.when(text.rlike(_DURATION), _weighed(text, _DURATION, (86_400, 3_600, 60, 1)))


def clock_duration(text: Column) -> Column:
    """`h:mm:ss`, `m:ss` or seconds -> seconds; null for any other text."""
    return F.when(text.rlike(_CLOCK), _weighed(text, _CLOCK, (3_600, 60, 1)))


def seconds_text(text: Column) -> Column:
    """Seconds with an s behind them, such as `12.5s` or `300 s` -> seconds; else null."""
    return number(F.nullif(F.regexp_extract(text, _SECONDS, 1), F.lit("")))


def _weighed(text: Column, pattern: str, weights: Sequence[int]) -> Column:
    total = F.lit(0.0)
    for at, weight in enumerate(weights, start=1):
        part = F.replace(F.regexp_extract(text, pattern, at), F.lit(","), F.lit("."))
        total = total + F.coalesce(try_cast(part, "double"), F.lit(0.0)) * weight
    return total


def instant_us(text: Column, timezone: str) -> Column:
    """ISO 8601 date and time -> microseconds since 1970 in UTC; null for any other text.

    `T` or a blank separates date and time. Seconds are optional, and so is their fraction (1 to 9
    digits, cut to microseconds). Zones: `Z`, `+hh:mm`, `+hhmm`, `+hh`. A time without a zone is
    wall time in `timezone`: null where the clocks skip it, the first of two where they repeat it.
    """
    clock = F.regexp_extract(text, "^.{11}([0-9:.]+)", 1)
    # The length of the clock tells which of its parts are missing.
    padding = F.substr(F.lit(":00.000000"), F.length(clock) - 4, F.lit(10))
    wall = F.concat(F.substring(text, 1, 10), F.lit(" "), clock, padding)
    wall_us = F.unix_micros(try_cast(F.substring(wall, 1, 26), "timestamp"))
    zone = F.substr(text, F.length(clock) + 12, F.lit(6))
    us = wall_us - F.when(F.length(zone) > 1, _offset_us(zone)).otherwise(F.lit(0))
    if timezone != "UTC":
        us = F.when(zone == "", _from_wall(wall_us, timezone)).otherwise(us)
    return F.when(text.rlike(_INSTANT), us)


def plain_time(text: Column) -> Column:
    """Other notations of a time in that of `instant_us`; any other text as it is.

    These have one meaning only: `20240115T100000Z`, a comma before the fraction, small `t` and `z`,
    a blank before the zone, and `UTC`, `GMT` or `Z[UTC]` for `Z`, as BigQuery, Snowflake, Python's
    logging and Java write them, and `Tue, 05 Mar 2024 10:00:00 +0000` of RFC 2822.
    """
    plain = F.regexp_replace(F.upper(text), _BASIC, "$1-$2-$3 $4:$5:$6")
    plain = F.regexp_replace(plain, _COMMA, "$1.$2")
    plain = F.regexp_replace(plain, _UTC, "Z")
    plain = F.regexp_replace(plain, _APART, "$1")
    mail = [_by_format(text, parse_time_format(pattern)) for pattern in _MAIL]
    return (
        F.when(text.rlike(_MAIL_LIKE), F.coalesce(*mail, text))
        .when(text.rlike(_OTHER_NOTATION), plain)
        .otherwise(text)
    )


def time_text(text: Column, formats: Sequence[str]) -> Column:
    """A time in the notation of `instant_us`: by the first of `formats` that fits, else as told."""
    told = [_by_format(text, parse_time_format(pattern)) for pattern in formats]
    return F.coalesce(*told, plain_time(text))


def _by_format(text: Column, pattern: TimeFormat) -> Column:
    """A text of the pattern in the notation of `instant_us`; null for any other text."""

    def part(directive: str) -> Column:
        return F.regexp_extract(text, pattern.expression, pattern.directives.index(directive) + 1)

    has = set(pattern.directives)
    year = part("Y") if "Y" in has else F.concat(F.lit("20"), part("y"))
    month = _two(part("m")) if "m" in has else _month(part("b"))
    hour = _two(part("H")) if "H" in has else _hour_of_day(part("I"), part("p"))
    second = _two(part("S")) if "S" in has else F.lit("00")
    clock = [hour, F.lit(":"), _two(part("M")), F.lit(":"), second]
    if "f" in has:
        clock += [F.lit("."), part("f")]
    if "z" in has:
        clock.append(F.regexp_replace(F.upper(part("z")), "^(UTC|GMT|UT)$", "Z"))
    day = [year, F.lit("-"), month, F.lit("-"), _two(part("d")), F.lit(" ")]
    return F.when(text.rlike(pattern.expression), F.concat(*day, *clock))


def _two(digits: Column) -> Column:
    return F.lpad(digits, 2, "0")


def _month(name: Column) -> Column:
    """The number of a month by its English name, short or long; 00 for any other word."""
    number = F.lit("00")
    for at, month in enumerate(_MONTHS, start=1):
        short = F.upper(name) == month[:3]
        number = F.when(short | (F.upper(name) == month), F.lit(f"{at:02}")).otherwise(number)
    return number


def _hour_of_day(hour: Column, half: Column) -> Column:
    """An hour from 1 to 12 and am or pm -> that of the day; 99 for any other hour."""
    number = try_cast(hour, "int")
    later = F.when(F.upper(half) == "PM", F.lit(12)).otherwise(F.lit(0))
    of_day = F.when((number >= 1) & (number <= 12), number % 12 + later).otherwise(F.lit(99))
    return _two(of_day.cast("string"))


def date_us(text: Column, timezone: str) -> Column:
    """`YYYY-MM-DD` -> microseconds since 1970 of its midnight in `timezone`; else null."""
    return F.when(text.rlike(_DATE), instant_us(F.concat(text, F.lit("T00:00")), timezone))


def epoch_us(text: Column, unit: TimestampUnit) -> Column:
    """A number of `unit`s since 1970 -> microseconds; null if it is no number.

    Plain integers and decimals are read digit by digit. Today's time in nanoseconds as a double
    would lose its microseconds. A number too large for any calendar becomes the largest bigint.
    """
    endless = F.lit(2**63 - 1)
    if unit == "ns":
        return (
            F.when(text.rlike("^[+-]?[0-9]{1,3}$"), F.lit(0))
            .when(text.rlike("^[+-]?[0-9]{4,21}(\\.[0-9]*)?$"), _thousandth(text))
            .when(text.rlike(NUMBER), _scaled(text, 0.001))
        )
    digits = _FRACTION_DIGITS[unit]
    factor = 10**digits
    largest = (2**63 - 1) // factor - 1
    whole = try_cast(F.regexp_extract(text, r"^([+-]?[0-9]+)", 1), "bigint")
    fraction = F.regexp_extract(text, r"\.([0-9]*)$", 1)
    exact = (
        F.when(F.abs(whole) > largest, endless)
        .when(text.rlike(_INTEGER), whole * factor)
        .otherwise(
            whole * factor
            + (_int(F.rpad(F.substring(fraction, 1, digits), digits, "0")) if digits else 0)
        )
    )
    return (
        F.when(text.rlike(_INTEGER) | text.rlike(_DECIMAL), exact)
        .when(text.rlike(_LONG_INTEGER), endless)
        .when(text.rlike(NUMBER), _scaled(text, float(factor)))
    )


def _int(column: Column) -> Column:
    return try_cast(column, "bigint")


def _thousandth(text: Column) -> Column:
    """The integer digits without the last three, as bigint."""
    whole = F.regexp_extract(text, r"^([+-]?[0-9]+)", 1)
    return try_cast(F.substr(whole, F.lit(1), F.length(whole) - 3), "bigint")


def _scaled(text: Column, factor: float) -> Column:
    value = try_cast(text, "double") * factor
    return (
        F.when(F.abs(value) < F.lit(9.0e18), try_cast(F.floor(value), "bigint"))
        .when(value > 0, F.lit(2**63 - 1))
        .otherwise(F.lit(-(2**63 - 1)))
    )


def _offset_us(zone: Column) -> Column:
    """`+hh:mm`, `+hhmm` or `+hh` -> microseconds."""
    minutes = F.concat(F.replace(F.substring(zone, 4, 3), F.lit(":"), F.lit("")), F.lit("00"))
    size = _int(F.substring(zone, 2, 2)) * 3600 + _int(F.substring(minutes, 1, 2)) * 60
    return F.when(F.startswith(zone, F.lit("-")), -size).otherwise(size) * _US_PER_SECOND


def _from_wall(wall_us: Column, timezone: str) -> Column:
    wall = F.timestamp_micros(wall_us)
    instant = F.to_utc_timestamp(wall, timezone)
    return F.when(F.from_utc_timestamp(instant, timezone) == wall, F.unix_micros(instant))

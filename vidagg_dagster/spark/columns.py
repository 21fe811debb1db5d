"""Column arithmetic that must come out the same on every engine."""

from collections.abc import Iterable

from pyspark.sql import Column
from pyspark.sql import functions as F


def floor_div(dividend: Column, divisor: Column | int) -> Column:
    """Integer division rounded down, as bigint; null if either is null. `divisor` > 0.

    Spark divides integers as doubles, which is exact enough: with a dividend below 2^53 the largest
    quotient below an integer k is k - 1/divisor, and no rounding lifts that to k.
    """
    return F.floor(dividend / divisor).cast("bigint")


def whole_ms(us: Column) -> Column:
    """Microseconds -> whole milliseconds, rounded down."""
    return floor_div(us, 1000)


def chosen(cases: Iterable[tuple[Column, int | str]]) -> Column:
    """The value of the first condition that holds, else null.

    As one chain: nested ones soon reach the depth to which Spark Connect reads an expression.
    """
    (condition, value), *others = cases
    chain = F.when(condition, F.lit(value))
    for condition, value in others:
        chain = chain.when(condition, F.lit(value))
    return chain


def calendar_day(us: Column, timezone: str) -> Column:
    """The calendar day in `timezone` of an instant in UTC microseconds."""
    return day_of(F.timestamp_micros(us), timezone)


def day_of(instant: Column, timezone: str) -> Column:
    """The calendar day in `timezone` of an instant. Sessions are in UTC."""
    return F.to_date(instant if timezone == "UTC" else F.from_utc_timestamp(instant, timezone))


def seconds(ms: Column) -> Column:
    """Milliseconds -> seconds as a double, for published columns."""
    return ms.cast("double") / F.lit(1000.0)


def milliseconds(seconds: Column) -> Column:
    """Seconds -> milliseconds as bigint, rounded half up. Undoes `seconds` exactly.

    `ms / 1000.0` is the double nearest to the true quotient. Multiplied by 1000 it misses the
    integer by far less than a half, for every duration below 2^43 ms (278 years).
    """
    return F.floor(seconds * F.lit(1000.0) + F.lit(0.5)).cast("bigint")


def half_up_hundredths(numerator: Column, denominator: Column) -> Column:
    """numerator / denominator rounded half up to two places, as a double; both integers, >= 0."""
    return floor_div(numerator * 200 + denominator, denominator * 2).cast("double") / F.lit(100.0)

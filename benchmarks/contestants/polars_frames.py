"""The whole specification in Polars: events of all days to one row per user and video."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

_DAY_US: Final = 86_400_000_000
_IDS: Final = ("userId", "sessionId", "videoId")
_TIMEOUT_MS: Final = 1_800_000
_NAMES: Final = {
    **dict.fromkeys(("video_play", "play"), (1, 0)),
    **dict.fromkeys(("video_resume", "resume"), (1, 1)),
    **dict.fromkeys(("video_progress", "video_heartbeat"), (0, 2)),
    **dict.fromkeys(("video_seek", "video_seeked"), (0, 3)),
    **dict.fromkeys(("video_pause", "pause"), (-1, 4)),
    **dict.fromkeys(("video_ended", "video_end", "end", "ended"), (-1, 5)),
}
_PLAYER: Final = ("player", "beyond")
_PAIR: Final = ["userId", "videoId"]
_EVIDENCE: Final = ("observed", "heartbeat", "bridged", "clipped")
_ORDER: Final = (*_PLAYER, "us", "tie", "rank", "pos", "sent")
_FIRST_FOUR: Final = (
    "position_exceeds_duration",
    "excessive_watch_time",
    "completed_without_sufficient_watch",
    "very_short_watch",
)

c = pl.col

# Columns, because Polars does not divide by a constant but multiplies by its reciprocal. That turns
# 124.484 into 124.48400000000001.
_THOUSAND, _HUNDRED = c("thousand"), c("hundred")


def aggregate(events: Path, videos: Path, run_time: datetime, output: Path) -> int:
    """Write the rows as Parquet; returns their number."""
    valid = _valid(events, run_time)
    players = _players(valid, videos)
    credited = _sessions(_credit(_ordered(_distinct(valid, players))))
    of_visits = _in_visits(credited)
    rows = _publish(_pairs(_visits(of_visits), _intervals(of_visits), players))
    rows.write_parquet(output)
    return rows.height


def _valid(events: Path, run_time: datetime) -> pl.DataFrame:
    """The events that are accepted, duplicates included."""
    names = pl.DataFrame(
        [(name, kind, rank) for name, (kind, rank) in _NAMES.items()],
        schema={"name": pl.String, "kind": pl.Int64, "rank": pl.Int64},
        orient="row",
    )
    first = datetime(2000, 1, 1, tzinfo=run_time.tzinfo)
    return (
        pl.scan_parquet(f"{events}/*.parquet")
        .select(
            *[c(name).str.strip_chars() for name in _IDS],
            c("timestamp"),
            c("eventName").str.strip_chars().str.to_lowercase().alias("name"),
            c("currentTime"),
            pl.when((c("playbackRate") > 0) & (c("playbackRate") <= 16))
            .then(c("playbackRate"))
            .alias("rate"),
        )
        .filter(
            *[c(name) != "" for name in _IDS],
            c("currentTime").is_finite() & c("currentTime").is_between(0, 86_400),
            c("timestamp").is_between(first, run_time + timedelta(days=1)),
        )
        .join(names.lazy(), on="name")
        .select(
            *_IDS,
            "kind",
            "rank",
            c("timestamp").dt.epoch("us").alias("us"),
            (c("currentTime") * 1000 + 0.5).floor().cast(pl.Int64).alias("sent"),
            "rate",
        )
        .collect()
    )


def _players(valid: pl.DataFrame, videos: Path) -> pl.DataFrame:
    """One row per player (user, session, video), with its video's metadata."""
    duration = (c("duration") * 1000 + 0.5).floor().cast(pl.Int64)
    known = pl.read_parquet(videos).select(
        c("videoId").str.strip_chars(),
        pl.when(c("duration") > 0).then(duration).alias("duration"),
        c("title"),
    )
    return (
        valid.select(_IDS)
        .unique()
        .sort(_IDS)
        .with_row_index("player")
        .with_columns(pl.struct("userId", "sessionId").rle_id().alias("session"))
        .join(known, on="videoId", how="left")
    )


def _distinct(valid: pl.DataFrame, players: pl.DataFrame) -> pl.DataFrame:
    """Each event once, with numbers for ids."""
    numbered = valid.join(
        players.select(*_IDS, "player", "session", "duration"), on=list(_IDS)
    ).drop(_IDS)
    once = numbered.group_by("player", "us", "rank", "sent").agg(
        c("session", "kind", "duration").first(), c("rate").min()
    )
    return once.with_columns(
        pl.min_horizontal("sent", "duration").alias("pos"),
        (c("sent") * 100 > c("duration") * 110).fill_null(False).alias("beyond"),
    )


def _ordered(events: pl.DataFrame) -> pl.DataFrame:
    moments = (
        events.group_by(*_PLAYER, "us")
        .agg((c("kind") == 1).any().alias("starts"), (c("kind") == -1).any().alias("stops"))
        .sort(*_PLAYER, "us")
        .with_columns(
            pl.when(c("starts") & ~c("stops"))
            .then(1)
            .when(c("stops") & ~c("starts"))
            .then(-1)
            .alias("only")
        )
        .select(
            *_PLAYER,
            "us",
            c("only").forward_fill().shift(1).over(_PLAYER).fill_null(-1).alias("before"),
        )
    )
    return (
        events.join(moments, on=[*_PLAYER, "us"])
        .with_columns((c("kind") * c("before")).alias("tie"))
        .drop("before")
        .sort(*_ORDER)
    )


def _with_neighbours(events: pl.DataFrame) -> pl.DataFrame:
    """Each event beside the player's events before and after it."""
    state = pl.when(c("kind") != 0).then(c("kind")).forward_fill().shift(1).over(_PLAYER)
    return events.with_columns(
        c("us").shift(1).over(_PLAYER).alias("us0"),
        c("pos").shift(1).over(_PLAYER).alias("pos0"),
        c("rate").shift(1).over(_PLAYER).alias("rate0"),
        c("us").shift(-1).over(_PLAYER).alias("us2"),
        c("pos").shift(-1).over(_PLAYER).alias("pos2"),
        c("rank").shift(-1).over(_PLAYER).alias("rank2"),
        (state == 1).fill_null(False).alias("playing"),
    ).with_columns(
        ((c("us") - c("us0")) // 1000).alias("dt"),
        (c("pos") - c("pos0")).alias("dp"),
        pl.max_horizontal("rate", "rate0").fill_null(2.0).alias("speed"),
        (c("playing") & c("us0").is_not_null()).alias("pair"),
    )


def _credit(events: pl.DataFrame) -> pl.DataFrame:
    """How each event's pair with the one before is credited: `evidence`, up to position `end`."""
    plausible = c("dp") <= c("speed") * c("dt") + 1000
    repairable = c("pair") & (c("dt") <= _TIMEOUT_MS)
    drag = repairable & (c("kind") == -1) & _seek_follows()
    watched = c("pair") & (c("dp") >= 0) & plausible
    bridged = watched & (c("kind") == 1) & (c("dp") * 2 >= c("dt") - 2000)
    seek = repairable & (~plausible | (c("dp") < -2000))
    in_video = pl.min_horizontal(c("pos0") + c("dt"), c("duration"))
    at_seek = pl.when((c("dp") > 0) & (in_video > c("pos"))).then(c("pos")).otherwise(in_video)
    return (
        _with_neighbours(events)
        .with_columns(
            pl.when(drag)
            .then(pl.lit("clipped"))
            .when(watched & (c("kind") == -1))
            .then(pl.lit("observed"))
            .when(watched & (c("kind") == 0))
            .then(pl.lit("heartbeat"))
            .when(bridged)
            .then(pl.lit("bridged"))
            .when(seek)
            .then(pl.lit("clipped"))
            .alias("evidence"),
            pl.when(drag)
            .then(in_video)
            .when(watched & ((c("kind") != 1) | bridged))
            .then(c("pos"))
            .when(seek)
            .then(at_seek)
            .alias("end"),
        )
        .drop("us2", "pos2", "rank2", "rate", "rate0", "speed", "pair", "dp")
    )


def _seek_follows() -> pl.Expr:
    """Whether a stop is the first half of a drag: a seek to the same place comes right after it."""
    follows = (
        (c("rank2") == 3)
        & (c("us2") // _DAY_US == c("us") // _DAY_US)
        & ((c("us2") - c("us")) // 1000 <= 250)
        & ((c("pos2") - c("pos")).abs() <= 250)
    )
    return follows.fill_null(False)


def _sessions(events: pl.DataFrame) -> pl.DataFrame:
    watched = pl.when(c("evidence") != "clipped").then(c("end") - c("pos0"))
    moments = (
        events.group_by("session", "us")
        .agg(watched.max().fill_null(0).alias("most"))
        .sort("session", "us")
        .with_columns(
            ((c("us") - c("us").shift(1).over("session")) // 1000 - c("most")).alias("idle")
        )
        .with_columns((c("idle") > _TIMEOUT_MS).fill_null(True).alias("begins"))
        .with_columns(
            c("begins").cum_sum().alias("cut"),
            pl.when("begins").then(c("us")).forward_fill().alias("session_us"),
        )
        .with_columns(c("us").shift(-1).over("cut").alias("session_us2"))
        .select("session", "us", "session_us", "session_us2")
    )
    whole = c("us0") >= c("session_us")
    return events.join(
        moments, on=["session", "us"], how="left", maintain_order="left"
    ).with_columns(
        pl.when(whole).then(c("evidence")).alias("evidence"),
        pl.when(whole).then(c("end")).alias("end"),
    )


def _in_visits(events: pl.DataFrame) -> pl.DataFrame:
    """Each event with what came before and after it in its visit, a player's part of a session."""
    visit = [*_PLAYER, "session_us"]
    stopped_at = pl.when(c("evidence") == "clipped").then(c("end")).otherwise(c("pos"))
    return events.with_columns(
        c("kind").shift(1).over(visit).alias("kind0"),
        c("us").shift(-1).over(visit).alias("visit_us2"),
        pl.when(c("kind") == -1).then(stopped_at).forward_fill().shift(1).over(visit).alias("stop"),
        pl.when(c("kind") == -1)
        .then(c("rank") == 5)
        .forward_fill()
        .shift(1)
        .over(visit)
        .fill_null(False)
        .alias("stop_ended"),
        (c("kind") == 1).cum_sum().over(visit).alias("starts"),
        (c("us") // _DAY_US).alias("day"),
    ).with_columns(
        pl.when(c("rank") == 5)
        .then(c("starts"))
        .forward_fill()
        .shift(1)
        .over(visit)
        .alias("starts_at_end")
    )


def _open_ends(events: pl.DataFrame) -> pl.DataFrame:
    """Adds whether an event leaves its visit open, its tail, and the day that settles it."""
    times_out = c("us") + _TIMEOUT_MS * 1000
    # A day does not see the next one, so what it has settled stays.
    same_day = (times_out // _DAY_US == c("day")) | (c("session_us2") // _DAY_US == c("day"))
    open_end = (c("kind") == 1) & (
        c("visit_us2").is_null()
        | ((c("visit_us2") // _DAY_US > c("day")) & same_day.fill_null(False))
    )
    tail = pl.min_horizontal(
        pl.lit(_TIMEOUT_MS, pl.Int64),
        c("duration") - c("pos"),
        (c("session_us2") - c("us")) // 1000,
    )
    return events.with_columns(
        open_end.alias("open_end"),
        pl.when(open_end).then(tail).alias("tail"),
        (pl.min_horizontal("session_us2", times_out) // _DAY_US).alias("settled"),
    )


def _visits(events: pl.DataFrame) -> pl.DataFrame:
    """One row per visit, with its counts."""
    visit = [*_PLAYER, "session_us"]
    resumes = (c("kind") == 1) & ~c("playing")
    moved_on = (c("kind") != -1) & c("playing")
    left_at = (
        pl.when(resumes)
        .then(c("stop"))
        .when(moved_on & (c("evidence") == "clipped"))
        .then(c("end"))
        .when(moved_on & c("evidence").is_null())
        .then(c("pos0"))
    )
    jump = pl.when(c("kind0").is_not_null()).then(c("pos") - left_at)
    counted = _open_ends(events).select(
        *visit,
        "day",
        "us",
        "pos",
        ((c("rank") == 4) & (c("kind0") != -1).fill_null(True)).alias("pause"),
        ((c("rank") == 5) & (c("starts") > c("starts_at_end")).fill_null(True)).alias("completion"),
        (jump > 5000).fill_null(False).alias("forward"),
        ((jump < -2000) & ~(resumes & c("stop_ended"))).fill_null(False).alias("backward"),
        "open_end",
        "tail",
        "settled",
    )
    return counted.group_by(visit).agg(
        c("day").alias("days"),
        c("settled").filter("open_end").alias("tail_days"),
        c("us").min().alias("first"),
        c("us").max().alias("last"),
        c("pos").max().alias("max"),
        c("pause", "completion", "forward", "backward", "open_end").sum().cast(pl.Int64),
        c("tail").sum(),
    )


def _intervals(events: pl.DataFrame) -> pl.DataFrame:
    """One row per credited pair: from position `s` to `e`, and its time on the clock."""
    clipped = c("evidence") == "clipped"
    return events.select(
        "beyond",
        "player",
        c("pos0").alias("s"),
        c("end").alias("e"),
        pl.when(clipped).then(c("end") - c("pos0")).otherwise(c("dt")).alias("clock"),
        "evidence",
    ).filter(~c("beyond"), c("e") > c("s"))


def _pairs(visits: pl.DataFrame, intervals: pl.DataFrame, players: pl.DataFrame) -> pl.DataFrame:
    """One row per user and video, in milliseconds and counts."""
    pair_of = players.select("player", *_PAIR, "duration", "title")
    named = visits.join(pair_of, on="player")
    believed = named.filter(~c("beyond"))
    active = _active_days(believed)
    exceeding = (
        named.filter("beyond")
        .select(*_PAIR, c("days").alias("day"))
        .explode("day")
        .join(active, on=[*_PAIR, "day"], how="semi")
        .group_by(_PAIR)
        .agg(pl.len().cast(pl.Int64).alias("exceeding"))
    )
    days = active.group_by(_PAIR).agg(c("day").sort().cast(pl.Date).alias("activeDays"))
    pairs = believed.group_by(_PAIR).agg(
        c("duration", "title").first(),
        pl.len().cast(pl.Int64).alias("sessions"),
        c("first").min(),
        c("last").max(),
        c("max").max(),
        ((c("last") - c("first")) // 1000).sum().alias("session_ms"),
        c("pause", "completion", "forward", "backward", "open_end", "tail").sum(),
    )
    watched = _watched(intervals.join(pair_of.select("player", *_PAIR), on="player"))
    zeros = ("unique", "total", "clock", *_EVIDENCE, "exceeding")
    return (
        pairs.join(days, on=_PAIR)
        .join(watched, on=_PAIR, how="left")
        .join(exceeding, on=_PAIR, how="left")
        .with_columns(c(*zeros).fill_null(0), c("watchedIntervals").fill_null([]))
    )


def _active_days(visits: pl.DataFrame) -> pl.DataFrame:
    """The days of each pair: those of its events, and those that settle its open ends."""
    by_tail = visits.filter(c("tail_days").list.len() > 0)
    return pl.concat(
        [
            visits.select(*_PAIR, c("days").alias("day")).explode("day"),
            by_tail.select(*_PAIR, c("tail_days").alias("day")).explode("day"),
        ]
    ).unique()


def _watched(intervals: pl.DataFrame) -> pl.DataFrame:
    """The union of each pair's intervals, and their sums."""
    islands = (
        intervals.sort(*_PAIR, "s", "e")
        .with_columns(c("e").cum_max().shift(1).over(_PAIR).alias("reached"))
        .with_columns((c("reached").is_null() | (c("s") > c("reached"))).cum_sum().alias("island"))
    )
    length = c("e") - c("s")
    return (
        islands.group_by(*_PAIR, "island")
        .agg(
            c("s").min().alias("startMs"),
            c("e").max().alias("endMs"),
            length.sum().alias("total"),
            c("clock").sum(),
            *[length.filter(c("evidence") == name).sum().alias(name) for name in _EVIDENCE],
        )
        .sort("island")
        .group_by(_PAIR, maintain_order=True)
        .agg(
            pl.struct("startMs", "endMs").alias("watchedIntervals"),
            (c("endMs") - c("startMs")).sum().alias("unique"),
            c("total", "clock", *_EVIDENCE).sum(),
        )
    )


def _publish(pairs: pl.DataFrame) -> pl.DataFrame:
    """The published columns of each pair."""
    constants = {"thousand": 1000.0, "hundred": 100.0}
    columns = [
        pl.Series(name, [value]).new_from_index(0, pairs.height).alias(name)
        for name, value in constants.items()
    ]
    return (
        pairs.with_columns(columns)
        .with_columns(_score().alias("score"))
        .select(
            "userId",
            "videoId",
            *_watch_columns(),
            *_count_columns(),
            *_judgement_columns(),
            c("first").cast(pl.Datetime("us", "UTC")).alias("firstWatchDate"),
            c("last").cast(pl.Datetime("us", "UTC")).alias("lastWatchDate"),
            c("pause").alias("pauseCount"),
            (c("session_ms") / _THOUSAND).alias("totalSessionDuration"),
            c("open_end").alias("openEndedCount"),
            c("exceeding").alias("exceedingPositionCount"),
            "activeDays",
        )
    )


def _watch_columns() -> list[pl.Expr]:
    d, total, unique = c("duration"), c("total"), c("unique")

    def percent(part: pl.Expr) -> pl.Expr:
        return (part * 20_000 + d) // (d * 2) / _HUNDRED

    return [
        c("title").alias("videoTitle"),
        (d / _THOUSAND).alias("videoDuration"),
        pl.when(d.is_not_null()).then(pl.lit("metadata")).alias("videoDurationSource"),
        (total / _THOUSAND).alias("totalWatchTime"),
        (unique / _THOUSAND).alias("totalUniqueSecondsWatched"),
        (c("clock") / _THOUSAND).alias("totalClockTime"),
        (c("max") / _THOUSAND).alias("maxPositionReached"),
        percent(total).alias("watchPercentage"),
        percent(unique).alias("uniqueWatchPercentage"),
        percent(c("max")).alias("completionPercentage"),
        ((total - unique) / _THOUSAND).alias("rewatchedSeconds"),
        *[(c(name) / _THOUSAND).alias(f"{name}Seconds") for name in _EVIDENCE],
        (c("tail") / _THOUSAND).alias("estimatedTailSeconds"),
        c("watchedIntervals"),
    ]


def _count_columns() -> list[pl.Expr]:
    sessions = c("sessions")
    return [
        sessions.alias("sessionCount"),
        (sessions > 1).alias("isReplay"),
        (c("total") / _THOUSAND / sessions).alias("avgWatchTimePerSession"),
        (c("session_ms") / _THOUSAND / sessions).alias("avgSessionDuration"),
        (c("pause") / sessions).alias("avgPausesPerSession"),
        c("forward").alias("totalForwardSkips"),
        c("backward").alias("totalBackwardSkips"),
        c("completion").alias("completionCount"),
        (c("completion") > 0).alias("isCompletedAtLeastOnce"),
    ]


def _score() -> pl.Expr:
    """0 to 100, null where the duration is unknown."""
    d, total, unique = c("duration"), c("total"), c("unique")
    completed = (c("completion") > 0) & (unique * 100 >= d * 75)
    points = (
        pl.min_horizontal(unique, d) * 8000
        + pl.min_horizontal(total - unique, d) * 1000
        + pl.when(completed).then(d * 1000).otherwise(0)
        - d * pl.min_horizontal(pl.lit(10, pl.Int64), c("forward") + c("backward")) * 100
    )
    hundredths = (pl.max_horizontal(pl.lit(0, pl.Int64), points) * 2 + d) // (d * 2)
    return pl.when(d.is_not_null()).then(
        pl.min_horizontal(pl.lit(10_000, pl.Int64), hundredths) / _HUNDRED
    )


def _judgement_columns() -> list[pl.Expr]:
    """Score, tier and flags."""
    d, total, unique, score = c("duration"), c("total"), c("unique"), c("score")
    sessions = pl.max_horizontal(pl.lit(1, pl.Int64), c("sessions"))
    flags = {
        "position_exceeds_duration": c("exceeding") > 0,
        "excessive_watch_time": total * 100 > d * 120 * sessions,
        "completed_without_sufficient_watch": (c("completion") > 0) & (unique * 100 < d * 75),
        "very_short_watch": total < 5000,
        "seek_repaired": c("clipped") > 0,
        "open_ended": c("open_end") > 0,
        "unknown_duration": d.is_null(),
    }
    listed = pl.concat_list(
        [pl.when(applies).then(pl.lit(name)) for name, applies in flags.items()]
    ).list.drop_nulls()
    first = pl.coalesce(
        *[pl.when(flags[name]).then(pl.lit(name)) for name in _FIRST_FOUR], pl.lit("ok")
    )
    tier = pl.coalesce(
        *[
            pl.when(score >= least).then(pl.lit(name))
            for name, least in (("High", 75), ("Medium", 50), ("Low", 25))
        ],
        pl.when(score.is_not_null()).then(pl.lit("Minimal")),
    )
    return [
        score.alias("engagementScore"),
        tier.alias("engagementTier"),
        listed.alias("qualityFlags"),
        first.alias("dataQualityFlag"),
    ]

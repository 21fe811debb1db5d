"""What `vidagg databricks deploy --try` has one short job try, on the compute that steps will have.

Each try stands alone, so that one job tells everything that is wrong.
"""

import platform
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, Field

from vidagg_dagster.core.contract import SourceSpec

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    Attempt = Callable[[SparkSession, "Trial"], str]

TRIAL: Final = "trial"
"""The name under which a trial reaches its task, and the key of that task."""

_BEGIN: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
_STEP_S: Final = 10
_EVENTS: Final = 10


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class Trial(_Model):
    """What is tried: the schema of the tables, and what steps read."""

    table_schema: str
    source: SourceSpec | None = None
    video_metadata: str | None = None
    video_columns: dict[str, str] = Field(default_factory=dict)


class TrialFinding(_Model):
    """The result of one try."""

    subject: str
    passed: bool
    found: str
    remedy: str = ""


class TrialReport(_Model):
    """What the task reports."""

    findings: tuple[TrialFinding, ...]


def run_trial(spark: "SparkSession", trial: Trial) -> TrialReport:
    """Try everything, on the session of the task."""
    tries: Mapping[str, tuple[Attempt, str]] = {
        "versions": (_versions, ""),
        "table": (
            _table,
            f"GRANT USE SCHEMA, CREATE TABLE ON SCHEMA {trial.table_schema} TO who runs the job, "
            "and USE CATALOG on its catalog.",
        ),
        "source": (_source, "See VIDAGG_SOURCE; who runs the job must be allowed to read it."),
        "videos": (_videos, "See VIDAGG_VIDEO_METADATA; who runs the job must be able to read it."),
        "arithmetic": (
            _arithmetic,
            "Python functions cannot run on this compute. Look at the job's page, and choose other "
            "compute by VIDAGG_DATABRICKS_COMPUTE.",
        ),
    }
    return TrialReport(findings=tuple(_findings(spark, trial, tries)))


def _findings(
    spark: "SparkSession",
    trial: Trial,
    tries: Mapping[str, tuple["Attempt", str]],
) -> Iterator[TrialFinding]:
    from vidagg_dagster.sources.error_text import first_line

    for subject, (attempt, remedy) in tries.items():
        try:
            yield TrialFinding(subject=subject, passed=True, found=attempt(spark, trial))
        except Exception as error:  # whatever it is, the others are to be tried too
            found = f"{type(error).__name__}: {first_line(error)}"
            yield TrialFinding(subject=subject, passed=False, found=found, remedy=remedy)


def _versions(spark: "SparkSession", _: Trial) -> str:
    from vidagg_dagster.metrics.compiled import can_compile

    compiled = "numba is there" if can_compile() else "no numba, so large days take longer"
    return f"Python {platform.python_version()}, Spark {spark.version}, {compiled}"


def _table(spark: "SparkSession", trial: Trial) -> str:
    schema = ".".join(f"`{part}`" for part in trial.table_schema.split("."))
    name = f"{schema}.`vidagg_trial_{uuid.uuid4().hex}`"
    spark.sql(f"CREATE TABLE {name} (id BIGINT, rows BIGINT) USING DELTA")
    try:
        for number in (1, 2):
            spark.sql(
                f"MERGE INTO {name} AS old USING (SELECT 1L AS id, {number}L AS rows) AS new "
                "ON old.id = new.id WHEN MATCHED THEN UPDATE SET rows = new.rows "
                "WHEN NOT MATCHED THEN INSERT (id, rows) VALUES (new.id, new.rows)"
            )
        rows = [tuple(row) for row in spark.table(name).collect()]
        if rows != [(1, 2)]:
            raise RuntimeError(f"the merged table holds {rows} instead of one row")
    finally:
        spark.sql(f"DROP TABLE {name}")
    return f"created, merged and dropped a table in {trial.table_schema}"


def _source(spark: "SparkSession", trial: Trial) -> str:
    from vidagg_dagster.sources.read import read_source

    if trial.source is None:
        return "none is set"
    rows = len(read_source(spark, trial.source).limit(1).collect())
    return f"{trial.source.location} can be read" + ("" if rows else ", and has no rows")


def _videos(spark: "SparkSession", trial: Trial) -> str:
    from vidagg_dagster.sources.videos import read_videos

    if not trial.video_metadata:
        return "none are set"
    rows = read_videos(spark, trial.video_metadata, columns=trial.video_columns).limit(1).collect()
    return f"{trial.video_metadata} can be read" + ("" if rows else ", and has no rows")


def _arithmetic(spark: "SparkSession", _: Trial) -> str:
    """A user plays for 90 s in ten events, and that must be what comes out."""
    from vidagg_dagster.core.parameters import EngagementParameters
    from vidagg_dagster.core.schemas import RAW_EVENTS
    from vidagg_dagster.metrics.composition import EngagementChain
    from vidagg_dagster.sources.videos import read_videos

    names = ["video_play", *["video_progress"] * (_EVENTS - 2), "video_pause"]
    rows = [
        (
            *(_BEGIN.date(), _BEGIN + timedelta(seconds=_STEP_S * at), "u", "s", "v", name),
            *(1000 * _STEP_S * at, None, None, None, None),
        )
        for at, name in enumerate(names)
    ]
    chain = EngagementChain(
        parameters=EngagementParameters(), timezone="UTC", run_time=_BEGIN + timedelta(days=1)
    )
    events = spark.createDataFrame(rows, RAW_EVENTS.struct)
    (row,) = chain.daily_from_events(events, read_videos(spark, None)).collect()
    watched_s = row["totalWatchTime"]
    if watched_s != _STEP_S * (_EVENTS - 1):
        raise RuntimeError(f"{watched_s} s watched instead of {_STEP_S * (_EVENTS - 1)}")
    return f"{_EVENTS} events give {watched_s:.0f} s watched"

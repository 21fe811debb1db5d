"""JVM Spark under Dagster: a configuration that the Launchpad shows and a run can change."""

import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dagster_pyspark import LazyPySparkResource
from pydantic import ValidationError
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import (
    SAIL,
    SPARK,
    SourceSpec,
    StepName,
    StepRequest,
    TableStore,
)
from vidagg_dagster.core.errors import StepError
from vidagg_dagster.defs.targets import step_resources
from vidagg_dagster.runners import local
from vidagg_dagster.runners.jvm import JvmSteps, LocalSpark, jvm_resources
from vidagg_dagster.settings import Settings
from vidagg_dagster.spark.jvm import OF_FEW_ROWS
from vidagg_dagster.spark.session import local_conf
from vidagg_dagster_tests.conftest import require

OWN_PROCESS = """
from vidagg_dagster_tests.runners.test_jvm import run_with
print(run_with({"spark.driver.memory": "700m", "spark.sql.shuffle.partitions": 3}))
"""

SIZED = ("spark.sql.codegen.wholeStage", "spark.sql.shuffle.partitions")


def run_with(spark_config: dict[str, Any] | None) -> list[str]:
    """What Spark has in two steps of a run that is launched with a configuration."""
    said: list[str] = []
    sessions: list[SparkSession] = []

    def look(steps: JvmSteps) -> None:
        sessions.append(steps.session())
        keys = ("spark.driver.memory", "spark.sql.shuffle.partitions", "spark.sql.session.timeZone")
        said.extend(str(sessions[-1].conf.get(key)) for key in keys)

    @dg.op(out=dg.Out(dg.Nothing))
    def first(steps: JvmSteps) -> None:
        look(steps)

    @dg.op(ins={"after": dg.In(dg.Nothing)})
    def second(steps: JvmSteps) -> None:
        look(steps)

    @dg.job(resource_defs=jvm_resources(None))
    def both() -> None:
        second(first())

    config = {} if spark_config is None else {"pyspark": {"config": {"spark_config": spark_config}}}
    assert both.execute_in_process(run_config={"resources": config}).success
    assert sessions[0] is sessions[1], "the second step has started another session"
    return said[:3]


def shown(resources: dict[str, Any]) -> Any:
    """The configuration of Spark that the Launchpad shows before anyone changes it."""

    @dg.op(required_resource_keys={"steps"})
    def step() -> None: ...

    @dg.job(resource_defs=resources)
    def day() -> None:
        step()

    return dg.validate_run_config(day)["resources"]["pyspark"]["config"]["spark_config"]


def test_the_launchpad_shows_all_that_spark_is_started_with(tmp_path: Path) -> None:
    settings = Settings(engine=SPARK, driver_memory="3g", data_root=tmp_path)
    found = shown(step_resources(settings))
    assert found == local_conf("3g")
    assert found["spark.driver.memory"] == "3g"


@pytest.mark.parametrize("engine", [SAIL, "auto", "sc://127.0.0.1:1"])
def test_other_engines_have_no_configuration_of_spark(engine: str, tmp_path: Path) -> None:
    assert set(step_resources(Settings(engine=engine, data_root=tmp_path))) == {"steps"}


def test_what_a_run_changes_stands_on_top_of_the_rest() -> None:
    conf = LocalSpark(spark_config={"spark.driver.memory": "9g", "a.b": True})
    assert conf.spark_config == {**local_conf(), "spark.driver.memory": "9g", "a.b": "true"}
    assert isinstance(conf, LazyPySparkResource)


def test_no_run_can_move_the_zone_of_the_tables() -> None:
    with pytest.raises(ValidationError, match="has to be UTC"):
        LocalSpark(spark_config={"spark.sql.session.timeZone": "Europe/Berlin"})
    LocalSpark(spark_config={"spark.sql.session.timeZone": "UTC"})


def test_keys_are_whole() -> None:
    with pytest.raises(ValidationError, match="write spark as whole keys"):
        LocalSpark(spark_config={"spark": {"driver": {"memory": "9g"}}})


def test_the_steps_of_a_run_share_the_session_of_the_process(jvm: SparkSession) -> None:
    assert run_with(None)[2] == jvm.conf.get("spark.sql.session.timeZone") == "UTC"


def test_the_launchpad_reaches_spark() -> None:
    require(SPARK)
    command = [sys.executable, "-c", OWN_PROCESS]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "['700m', '3', 'UTC']"


def conf_during(step: StepRequest, monkeypatch: pytest.MonkeyPatch) -> list[list[str | None]]:
    """What `SIZED` are in the session while a step runs, and after it."""
    said: list[list[str | None]] = []

    def look(spark: SparkSession, *_: object) -> None:
        said.append([spark.conf.get(key) for key in SIZED])
        if len(said) == 1:
            raise StepError("It has been looked at.")

    monkeypatch.setattr(local, "run_step", look)
    steps = JvmSteps(pyspark=LocalSpark(spark_config={}))
    with dg.build_asset_context() as context, pytest.raises(dg.Failure, match="looked at"):
        steps.run(context, step)
    look(steps.session())
    return said


@pytest.mark.parametrize(("rows", "few"), [(3, True), (100_001, False)])
def test_steps_of_few_rows_compute_without_generated_code(
    rows: int,
    few: bool,
    jvm: SparkSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = [jvm.conf.get(key) for key in SIZED]
    assert usual[0] == "true"
    source = tmp_path / "events.parquet"
    pq.write_table(pa.table({"userId": ["a"] * rows}), source)
    day = date(2026, 1, 1)
    step = StepRequest(
        step=StepName.SESSIONS,
        days=(day,),
        start_date=day,
        timezone="UTC",
        run_time=datetime(2026, 1, 2, tzinfo=UTC),
        store=TableStore(kind="local", location=str(tmp_path / "data")),
        source=SourceSpec(location=str(source)),
    )
    during, after = conf_during(step, monkeypatch)
    assert during == (["false", "1"] if few else usual)
    assert after == usual


def test_what_the_launchpad_says_stays_also_for_few_rows() -> None:
    steps = JvmSteps(pyspark=LocalSpark(spark_config={SIZED[1]: "7"}))
    assert set(OF_FEW_ROWS) - set(steps.settings_for_few_rows()) == {SIZED[1]}

"""Which engine is chosen, what it is set to, and what is said where none can be had."""

import inspect
import os
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.errors import EngineError
from vidagg_dagster.spark.connect import connect, require_listener, start_sail
from vidagg_dagster.spark.engines import resolve_engine
from vidagg_dagster.spark.java import find_java
from vidagg_dagster.spark.jvm import default_driver_memory
from vidagg_dagster.spark.session import engine_session, spills, using
from vidagg_dagster_tests.conftest import require


def fake_java(folder: Path, version: str) -> Path:
    """A `java` that says it is of a version, as real ones do: on standard error."""
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2024-01-16' >&2\n")
    java.chmod(0o755)
    return folder


def run_python(code: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )


@pytest.mark.parametrize("version", ["17.0.15", "25-ea", "21", "11.0.2", None])
def test_auto_means_sail_with_and_without_java(
    version: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path, version) if version else tmp_path))
    choice = resolve_engine("auto")
    assert (choice.engine, choice.reason) == ("sail", "VIDAGG_ENGINE=auto")


@pytest.mark.parametrize("version", ["17.0.15", "25-ea", "21"])
def test_spark_by_name_takes_a_java_that_is_new_enough(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path, version)))
    choice = resolve_engine("spark")
    assert (choice.engine, choice.reason) == ("spark", "VIDAGG_ENGINE=spark")


def test_where_sail_is_not_installed_it_is_said_how_to_get_an_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vidagg_dagster.spark.engines.find_spec", lambda _: None)
    with pytest.raises(EngineError, match=r"pip install 'vidagg_dagster\[local\]'.*=spark"):
        resolve_engine("auto")


@pytest.mark.parametrize(
    ("version", "problem"),
    [("1.8.0_392", "is Java 8"), ("11.0.21", "is Java 11"), (None, "there is no bin/java in it")],
)
def test_spark_without_a_fitting_java_says_what_to_install(
    version: str | None, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path, version) if version else tmp_path))
    with pytest.raises(EngineError) as error:
        resolve_engine("spark")
    said = str(error.value)
    assert problem in said
    assert str(tmp_path) in said
    assert "VIDAGG_ENGINE=spark needs Java 17" in said
    assert "apt-get install openjdk-17-jre-headless" in said
    assert "VIDAGG_ENGINE=sail" in said


def test_java_home_comes_before_path_as_it_does_for_spark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = fake_java(tmp_path / "old", "11.0.2"), fake_java(tmp_path / "new", "21.0.1")
    monkeypatch.setenv("JAVA_HOME", str(old))
    monkeypatch.setenv("PATH", f"{new / 'bin'}{os.pathsep}{os.environ['PATH']}")
    assert find_java().version == 11
    monkeypatch.delenv("JAVA_HOME")
    assert find_java().version == 21


@pytest.mark.parametrize("name", ["", "Spark", "databricks", "local", "sc:/x"])
def test_an_unknown_engine_is_named_with_those_there_are(name: str) -> None:
    with pytest.raises(EngineError, match=r"in VIDAGG_ENGINE\. Use auto, spark, sail or sc://"):
        resolve_engine(name)


def test_a_connect_server_that_does_not_answer_is_named_at_once() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(EngineError, match=f"No Spark Connect server at sc://127.0.0.1:{port}"):
        engine_session(f"sc://127.0.0.1:{port}")
    assert time.monotonic() - started < 30


def test_loading_the_module_loads_no_engine() -> None:
    code = (
        "import sys, vidagg_dagster.spark.session;"
        "print([m for m in ('pyspark', 'pysail', 'py4j', 'grpc') if m in sys.modules])"
    )
    assert run_python(code).stdout.strip() == "[]"


def test_every_session_is_in_utc_and_stays_the_same(engine: str, spark: SparkSession) -> None:
    assert engine_session(engine) is spark
    instant = spark.sql("SELECT TIMESTAMP '2024-07-01 12:00:00' AS t").toArrow()["t"][0].as_py()
    assert instant == datetime(2024, 7, 1, 12, tzinfo=UTC)


def test_engines_can_be_used_in_turn(jvm: SparkSession, sail: SparkSession) -> None:
    for name, session in [("spark", jvm), ("sail", sail), ("spark", jvm)]:
        with using(name):
            total = session.range(4).select(F.sum(F.col("id")).alias("total")).collect()
            assert total[0]["total"] == 6


def test_settings_that_come_too_late_for_a_running_jvm_are_refused(jvm: SparkSession) -> None:
    assert jvm is engine_session("spark")
    with pytest.raises(EngineError, match=r"runs already, without spark.driver.extraClassPath"):
        engine_session("spark", conf={"spark.driver.extraClassPath": "x"})


def test_the_log_tells_the_engine_and_the_reason() -> None:
    require("sail")
    code = (
        "import logging; logging.basicConfig(level=logging.DEBUG, format='%(message)s');"
        "from vidagg_dagster.spark.session import engine_session; engine_session('sail')"
    )
    assert "Engine: sail (VIDAGG_ENGINE=sail)" in run_python(code).stderr


def test_sail_says_nothing_of_its_own() -> None:
    require("sail")
    code = (
        "from vidagg_dagster.spark.session import engine_session, stop_sessions;"
        "print(engine_session('sail').range(3).count()); stop_sessions()"
    )
    done = run_python(code)
    assert (done.stdout.strip(), done.stderr) == ("3", "")


FORGOTTEN = """
import time
from datetime import datetime
from pyspark.sql import functions as F
from vidagg_dagster.spark.session import engine_session
first = engine_session("sail")
first.range(3).count()
time.sleep({idle})
then = engine_session("sail")
print(then is first, then.range(3).select(F.lit(datetime(2024, 1, 1))).count())
"""


def test_a_session_that_the_server_forgot_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    require("sail")
    monkeypatch.setenv("SAIL_SPARK__SESSION_TIMEOUT_SECS", "1")
    assert run_python(FORGOTTEN.format(idle=4)).stdout.split() == ["False", "3"]


def test_sail_does_not_forget_an_idle_session(monkeypatch: pytest.MonkeyPatch) -> None:
    require("sail")
    monkeypatch.delenv("SAIL_SPARK__SESSION_TIMEOUT_SECS", raising=False)
    code = (
        "import os; from vidagg_dagster.spark.session import engine_session;"
        "engine_session('sail').range(1).count();"
        "print(os.environ['SAIL_SPARK__SESSION_TIMEOUT_SECS'])"
    )
    assert int(run_python(code).stdout) > 7 * 86_400
    assert run_python(FORGOTTEN.format(idle=4)).stdout.split() == ["True", "3"]


@pytest.mark.parametrize(("limit", "small"), [(None, True), ("1048576", False)])
def test_sail_writes_no_large_dictionaries_of_columns_with_many_values(
    limit: str | None, small: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("sail")
    setting = "SAIL_PARQUET__DICTIONARY_PAGE_SIZE_LIMIT"
    monkeypatch.delenv(setting, raising=False)
    code = (
        "from vidagg_dagster.spark.session import engine_session;"
        "rows = engine_session('sail').range(0, 50_000, 1, 1).selectExpr('md5(string(id))');"
        f"rows.write.parquet({str(tmp_path / 'rows')!r})"
    )
    run_python(code, **({} if limit is None else {setting: limit}))
    for file in (tmp_path / "rows").glob("*.parquet"):
        column = pq.read_metadata(file).row_group(0).column(0)
        assert column.compression == "ZSTD"
        assert (column.data_page_offset - column.dictionary_page_offset < 1 << 16) is small


@pytest.mark.parametrize("end", ["", "; stop_sessions()"])
def test_the_jvm_says_next_to_nothing_of_its_own(end: str) -> None:
    """Neither where the process ends, nor where the session does, while Python's workers start."""
    require("spark")
    code = (
        "from vidagg_dagster.spark.session import engine_session, stop_sessions;"
        f"print(engine_session('spark').range(3).count()){end}"
    )
    done = run_python(code)
    said = [line for line in done.stderr.splitlines() if "incubator modules" not in line]
    assert (done.stdout.strip(), said) == ("3", [])


def test_the_default_heap_leaves_room_for_the_rest_of_the_machine() -> None:
    heap = int(default_driver_memory().removesuffix("m"))
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
    assert 1024 <= heap <= 16 * 1024
    assert heap <= max(1024, machine / 2)


def test_a_heap_that_is_asked_for_comes_before_the_environment() -> None:
    require("spark")
    code = (
        "from vidagg_dagster.spark.session import engine_session;"
        "spark = engine_session('spark', conf={'spark.driver.memory': '700m'});"
        "print(spark.conf.get('spark.driver.memory'))"
    )
    assert run_python(code, VIDAGG_DRIVER_MEMORY="600m").stdout.strip() == "700m"


def test_the_session_of_a_connect_server_is_used_like_the_others(
    connect_spark: SparkSession,
) -> None:
    total = connect_spark.range(4).select(F.sum(F.col("id")).alias("total")).collect()
    assert total[0]["total"] == 6
    assert connect_spark.conf.get("spark.sql.session.timeZone") == "UTC"


def test_a_connect_session_spills_on_databricks_and_is_not_known_to_elsewhere(
    connect_spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABRICKS_RUNTIME_VERSION", raising=False)
    assert not spills(connect_spark)
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "17.3")
    assert spills(connect_spark)


def test_sail_does_not_spill_and_the_jvm_does(
    jvm: SparkSession, sail: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABRICKS_RUNTIME_VERSION", raising=False)
    assert spills(jvm)
    assert not spills(sail)


def test_the_token_of_an_engine_is_not_shown() -> None:
    address = "sc://127.0.0.1:1/;token=hunter2"
    assert "hunter2" not in resolve_engine(address).shown
    with pytest.raises(EngineError) as raised:
        require_listener(address)
    assert "hunter2" not in str(raised.value)


def test_sail_listens_on_the_loopback_address_only_and_has_no_token_to_ask_for() -> None:
    """What the pages say of shared machines. It fails when pysail has a way to close the port."""
    from pysail.spark import SparkConnectServer

    assert list(inspect.signature(SparkConnectServer).parameters) == ["ip", "port"]
    server, address = start_sail()
    try:
        assert address.startswith("sc://127.0.0.1:")
        anyone = connect(address, {})
        assert anyone.range(3).count() == 3
        anyone.stop()
    finally:
        server.stop()

"""The engines that tests run on, and the lanes that they run in.

`spark` runs a test on JVM Spark and on Sail, `jvm`, `sail` and `connect_spark` on one of them.
VIDAGG_TEST_ENGINES=sail (or spark) restricts the run to one engine, `--lane` to one lane.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyspark
import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SAIL, SPARK
from vidagg_dagster.databricks.wheel import build_wheel
from vidagg_dagster.spark.engines import MEMORY_SETTING
from vidagg_dagster.spark.java import find_java
from vidagg_dagster.spark.session import engine_session, stop_session, stop_sessions, use, using
from vidagg_dagster_tests.support.connect_server import serving
from vidagg_dagster_tests.support.lanes import LANES, lane_of, lanes_below
from vidagg_dagster_tests.support.postgres import Postgres, running

if TYPE_CHECKING:  # the tests of steps also run where Dagster is not installed
    import dagster as dg

ENGINES = os.environ.get("VIDAGG_TEST_ENGINES", f"{SPARK},{SAIL}").split(",")

CATALOG_SESSION = "VIDAGG_TEST_CATALOG_SESSION"
"""`classic` runs the tests of CatalogTables without Spark Connect."""

_SPARK_LINE = ".".join(pyspark.__version__.split(".")[:2])
DELTA_FOR_SPARK_35 = ("io.delta:delta-spark_2.12:3.3.2", "io.delta:delta-storage:3.3.2")
DELTA_ARTIFACTS = (
    DELTA_FOR_SPARK_35
    if _SPARK_LINE == "3.5"
    else (f"io.delta:delta-spark_{_SPARK_LINE}_2.13:4.4.0", "io.delta:delta-storage:4.4.0")
)
MAVEN_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"

# Test data are small, and a developer's machine runs other things beside two JVMs.
os.environ.setdefault(MEMORY_SETTING, "2g")


TESTS = Path(__file__).parent
JVM = frozenset({"jvm", "connect_spark", "connect_server", "catalog_spark"})
JVM_PARAMS = frozenset({SPARK, "local-spark", "catalog"})
POSTGRES = "postgres"


def pytest_addoption(parser: pytest.Parser) -> None:
    said = "; ".join(f"{lane}: {tests}" for lane, tests in LANES.items())
    parser.addoption("--lane", choices=[*LANES], help=f"run the tests of one lane ({said})")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files without a test of the lane: importing them takes seconds."""
    lane = config.getoption("--lane")
    if lane is None or collection_path.suffix != ".py" or TESTS not in collection_path.parents:
        return None
    return lane not in lanes_below(_folders(collection_path)) or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    lane = config.getoption("--lane")
    if lane is None:
        return
    others = [item for item in items if _lane(item) != lane]
    items[:] = [item for item in items if _lane(item) == lane]
    config.hook.pytest_deselected(items=others)


def _folders(path: Path) -> tuple[str, ...]:
    return path.relative_to(TESTS).parent.parts


def _lane(item: pytest.Item) -> str:
    """The lane of a test, by its folder and by the fixtures and parameters that it asks for."""
    fixtures = frozenset(getattr(item, "fixturenames", ()))
    callspec = getattr(item, "callspec", None)
    params = () if callspec is None else callspec.params.values()
    said = {param for param in params if isinstance(param, str)}
    return lane_of(
        _folders(item.path),
        on_jvm=not JVM.isdisjoint(fixtures) or not JVM_PARAMS.isdisjoint(said),
        on_postgres=POSTGRES in fixtures | said,
        many_queries="patient" in fixtures,
    )


def require(engine: str) -> None:
    """Skip the test, with the reason, where `engine` is not wanted or cannot run."""
    if engine not in ENGINES:
        pytest.skip(f"VIDAGG_TEST_ENGINES leaves out {engine}")
    if engine == SPARK and not find_java().usable:
        pytest.skip(f"JVM Spark: {find_java().problem}")


@pytest.fixture(scope="session", autouse=True)
def _stop_engines() -> Iterator[None]:
    yield
    stop_sessions()


@pytest.fixture(scope="session", params=[SPARK, SAIL])
def engine(request: pytest.FixtureRequest) -> str:
    """The name of the engine behind `spark`."""
    name: str = request.param
    require(name)
    return name


@pytest.fixture(scope="session")
def spark(engine: str) -> SparkSession:
    """A session of each engine in turn. Session-scoped, so that wider fixtures can build on it."""
    return engine_session(engine)


@pytest.fixture(scope="session")
def patient() -> None:
    """For a test of many small queries: on JVM Spark it is in the slow lane."""


@pytest.fixture(autouse=True)
def _speak_to_the_engine(request: pytest.FixtureRequest) -> None:
    """A test in between may have switched `pyspark.sql.functions` to the other engine."""
    if "engine" in request.fixturenames:
        use(request.getfixturevalue("engine"))


@pytest.fixture
def sail() -> Iterator[SparkSession]:
    require(SAIL)
    with using(SAIL):
        yield engine_session(SAIL)


@pytest.fixture
def jvm() -> Iterator[SparkSession]:
    require(SPARK)
    with using(SPARK):
        yield engine_session(SPARK)


@dataclass(frozen=True)
class ConnectServer:
    """A Spark Connect server. `without_delta` says why it lacks Delta, or is None."""

    address: str
    without_delta: str | None


@pytest.fixture(scope="session")
def delta_jars(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The jars of Spark's own Delta, from Maven Central or Maven's cache. Skips without them."""
    return jars_from_maven(DELTA_ARTIFACTS, tmp_path_factory.mktemp("delta"))


def jars_from_maven(artifacts: Sequence[str], folder: Path) -> list[Path]:
    maven = shutil.which("mvn")
    if maven is None:
        pytest.skip("delta-spark: no Maven here to get its jar with")
    for artifact in artifacts:
        command = [maven, "--batch-mode", "--quiet", MAVEN_COPY, f"-Dartifact={artifact}"]
        try:
            got = subprocess.run(
                [*command, f"-DoutputDirectory={folder}"],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"delta-spark: Maven gets no answer about {artifact}")
        if got.returncode:
            pytest.skip(f"delta-spark: Maven cannot get {artifact}")
    return sorted(folder.glob("*.jar"))


def delta_conf(jars: list[Path], warehouse: Path) -> dict[str, str]:
    """Settings with which a JVM of Spark must start to know Delta."""
    return {
        "spark.jars": ",".join(map(str, jars)),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.warehouse.dir": str(warehouse),
        # By default 50 tasks read the log of a few commits, which takes most of a test's time.
        "spark.databricks.delta.snapshotPartitions": "1",
    }


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the catalog's tables."""
    return tmp_path_factory.mktemp("warehouse")


@pytest.fixture(scope="session")
def connect_server(request: pytest.FixtureRequest, warehouse: Path) -> Iterator[ConnectServer]:
    """A real Spark Connect server in its own process, with the protocol of serverless compute."""
    require(SPARK)
    without_delta = None
    conf: dict[str, str] = {}
    try:
        conf = delta_conf(request.getfixturevalue("delta_jars"), warehouse)
    except pytest.skip.Exception as reason:
        without_delta = str(reason)
    with serving(conf) as address:
        yield ConnectServer(address, without_delta)
        stop_session(address)  # while the server can still be told


@pytest.fixture
def connect_spark(connect_server: ConnectServer) -> Iterator[SparkSession]:
    with using(connect_server.address):
        yield engine_session(connect_server.address)


@pytest.fixture
def catalog_spark(request: pytest.FixtureRequest, warehouse: Path) -> Iterator[SparkSession]:
    """A session with Spark's own Delta: through Spark Connect, or classic by CATALOG_SESSION."""
    require(SPARK)
    if os.environ.get(CATALOG_SESSION) == "classic":
        jars = request.getfixturevalue("delta_jars")
        with using(SPARK):
            yield engine_session(SPARK, conf=delta_conf(jars, warehouse))
        return
    server: ConnectServer = request.getfixturevalue("connect_server")
    if server.without_delta:
        pytest.skip(server.without_delta)
    yield request.getfixturevalue("connect_spark")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as it would be deployed."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for the whole run."""
    with running() as server:
        yield server


@pytest.fixture(params=["sqlite", POSTGRES])
def instance(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator["dg.DagsterInstance"]:
    """An empty Dagster instance, on each storage that deployments use."""
    import dagster as dg

    home = tmp_path / "instance"
    home.mkdir()
    if request.param == "sqlite":
        with dg.DagsterInstance.local_temp(str(home)) as instance:
            yield instance
        return
    server: Postgres = request.getfixturevalue("postgres")
    (home / "dagster.yaml").write_text(server.storage_yaml(), encoding="utf-8")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.wipe()
        yield instance

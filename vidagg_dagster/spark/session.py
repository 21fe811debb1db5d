"""The Spark sessions of this process: one per engine, always in UTC, or the cluster's own.

Loading this module starts and imports no engine.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Final, cast

from vidagg_dagster.core.contract import AUTO, SAIL, SPARK
from vidagg_dagster.core.errors import EngineError
from vidagg_dagster.spark.connect import connect, require_listener, start_sail
from vidagg_dagster.spark.engines import EngineChoice, resolve_engine
from vidagg_dagster.spark.jvm import build_session, jvm_conf, start_jvm, start_python
from vidagg_dagster.spark.shipping import ship

if TYPE_CHECKING:
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession
    from pyspark.sql.connect.session import SparkSession as ConnectSession

log = logging.getLogger(__name__)

_ON_DATABRICKS: Final = "DATABRICKS_RUNTIME_VERSION"
_CONNECT_SWITCH: Final = "SPARK_CONNECT_MODE_ENABLED"

_SESSION_CONF: Final[Mapping[str, str]] = {
    "spark.sql.session.timeZone": "UTC",
    # INT96, Spark's default, carries no zone and no statistics; Delta asks for microseconds.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # No limit, for with one Spark's JVM measures each batch anew at each row: a quarter of the
    # processor time of a large day. The limit of 10 000 rows stays.
    "spark.sql.execution.arrow.maxBytesPerBatch": "2147483647",
}

_SAIL_CONF: Final[Mapping[str, str]] = {
    # Each column expression would look up its line of Python and search for IPython: a third of
    # the time of a small day. Spark's own Connect server refuses to have it changed.
    "spark.python.sql.dataFrameDebugging.enabled": "false",
}


@dataclass(frozen=True)
class _Running:
    session: "SparkSession"
    conf: Mapping[str, str]
    """What the call that started it asked for."""
    server: "SparkConnectServer | None" = None
    """Sail's server. It stops when this last reference to it goes."""
    address: str | None = None
    """Where the session's server listens. None: it is a JVM of this process."""
    python: Thread | None = None
    """What starts the Python workers of a JVM."""


_running: dict[str, _Running] = {}


def engine_session(
    engine: str = AUTO,
    *,
    conf: Mapping[str, str] | None = None,
    jars: tuple[str, ...] = (),
    build: "Callable[[], SparkSession] | None" = None,
) -> "SparkSession":
    """The session of an engine. The first call starts it; every later call returns the same one.

    Args:
        engine: `auto`, `spark`, `sail` or `sc://host:port`.
        conf: Further Spark configuration. JVM Spark takes it with the first call only, because a
            running JVM cannot be reconfigured.
        jars: Paths of jars for JVM Spark, likewise with the first call only.
        build: Makes the session of JVM Spark, with `local_conf` and `conf`, where none runs yet.
            Without it this function does.

    Raises:
        EngineError: The engine is unknown, cannot run here, or already runs with another `conf`.
    """
    choice = resolve_engine(engine)
    wanted = dict(conf or {})
    if jars:
        wanted["spark.jars"] = ",".join(jars)
    running = _running.get(choice.engine)
    if running is not None and not _answers(running):
        _discard(choice.engine)
        running = None
    if running is None:
        running = _start(choice, wanted, build)
        _running[choice.engine] = running
    else:
        _require_conf(choice, running, wanted)
        use(choice.engine)
    return running.session


def local_conf(driver_memory: str | None = None) -> dict[str, str]:
    """All with which JVM Spark starts on this machine; for `driver_memory` see `jvm.jvm_conf`."""
    return {**jvm_conf(driver_memory), **_SESSION_CONF}


def cluster_session() -> "SparkSession":
    """The session of a cluster that runs already: Databricks, or any Spark with Delta.

    Serverless compute allows hardly any setting. It allows these two, which our code relies on.
    """
    from pyspark.sql import SparkSession

    from vidagg_dagster.spark.compat import HAS_TRY_CAST

    spark = SparkSession.builder.getOrCreate()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    if not HAS_TRY_CAST:
        # Spark 3.5 has no try_cast for columns. Its plain casts are as lenient only without ANSI.
        spark.conf.set("spark.sql.ansi.enabled", "false")
    return spark


def use(engine: str) -> None:
    """Make `pyspark.sql.functions` build the columns of `engine`, in a process that has several.

    At each call they read an environment variable to choose between JVM and Spark Connect columns.
    `engine_session` sets it too, so this is only needed to alternate between engines.
    """
    if engine == SPARK:
        os.environ.pop(_CONNECT_SWITCH, None)
    else:
        os.environ[_CONNECT_SWITCH] = "1"


@contextmanager
def using(engine: str) -> Iterator[None]:
    """`use(engine)` within a `with` block, and restore the engine in use before."""
    before = os.environ.get(_CONNECT_SWITCH)
    use(engine)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_CONNECT_SWITCH, None)
        else:
            os.environ[_CONNECT_SWITCH] = before


def is_connect(session: "SparkSession") -> bool:
    """Whether the session speaks to its engine by Spark Connect; else it is a JVM of this process.

    Sail is reached by Spark Connect too.
    """
    return type(session).__module__.startswith("pyspark.sql.connect")


def spills(session: "SparkSession") -> bool:
    """Whether the engine moves to disk what does not fit into memory. Sail does not.

    It is unknown of other Spark Connect servers, so this returns False for them. All compute of
    Databricks spills, also where it is reached by Spark Connect (serverless, standard access).
    """
    return not is_connect(session) or _ON_DATABRICKS in os.environ


def stop_session(engine: str) -> None:
    """Stop the session of `engine` in this process, if it has one."""
    running = _running.pop(engine, None)
    if running is None:
        return
    if running.python is not None:
        running.python.join()
    with using(engine):
        running.session.stop()
    if running.server is not None:
        running.server.stop()


def stop_sessions() -> None:
    """Stop every session of this process. The next `engine_session` starts a new one."""
    for engine in list(_running):
        stop_session(engine)
    os.environ.pop(_CONNECT_SWITCH, None)


def _start(
    choice: EngineChoice,
    conf: Mapping[str, str],
    build: "Callable[[], SparkSession] | None",
) -> _Running:
    log.debug("Engine: %s", choice.shown)
    # Workers otherwise take the first `python3` in PATH, which may lack our packages.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    use(choice.engine)
    if choice.engine == SPARK:
        build = build or partial(build_session, {**local_conf(), **conf})
        session = start_jvm(build)
        return _Running(session, conf, python=start_python(session))
    whole = {**_SESSION_CONF, **conf}
    if choice.engine == SAIL:
        server, address = start_sail()
        return _Running(connect(address, {**_SAIL_CONF, **whole}), conf, server, address)
    session = connect(choice.engine, whole)
    try:
        ship(session, choice.engine)
    except EngineError:
        session.stop()
        raise
    return _Running(session, conf, address=choice.engine)


def _require_conf(choice: EngineChoice, running: _Running, wanted: Mapping[str, str]) -> None:
    if choice.engine != SPARK:
        return
    lacking = sorted(key for key, value in wanted.items() if running.conf.get(key) != value)
    if lacking:
        raise EngineError(
            f"The Spark JVM of this process runs already, without {', '.join(lacking)}. "
            "Ask for it with the first engine_session() call of the process."
        )


def _answers(running: _Running) -> bool:
    """Whether the session still works. Other code may have stopped it, or its server."""
    try:
        if running.address is not None:
            require_listener(running.address)
        return bool(running.session.conf.get("spark.sql.session.timeZone"))
    except Exception:
        return False


def _discard(engine: str) -> None:
    """Forget a session that does not answer.

    It must be stopped as well. PySpark keeps the first session of a process as the active one until
    then, and reads settings from it: a literal of a time once waited ten minutes for a dead server.
    """
    running = _running.pop(engine)
    if running.address is not None:
        # Releasing the session would also wait for the dead server.
        cast("ConnectSession", running.session).release_session_on_close = False
    with using(engine), suppress(Exception):
        running.session.stop()
    if running.server is not None:
        running.server.stop()

"""JVM Spark in this process: its configuration and its start."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Final

from vidagg_dagster.core.errors import EngineError
from vidagg_dagster.spark.engines import MEMORY_SETTING, SETTING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_MIN_HEAP_MB: Final = 1024
_MAX_HEAP_MB: Final = 16 * 1024

_LOCAL_CONF: Final[Mapping[str, str]] = {
    "spark.app.name": "vidagg",
    "spark.master": "local[*]",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.adaptive.enabled": "true",
    # Java never compiles a method above this size. Our parsing exceeds the default limit of
    # generated methods; cut into smaller ones it takes a sixth less time.
    "spark.sql.codegen.hugeMethodLimit": "8000",
    # Each column expression would look up its line of Python. That is a sixth of the time of a
    # small day, for a hint in error messages that only we could use.
    "spark.python.sql.dataFrameDebugging.enabled": "false",
    "spark.python.daemon.module": "vidagg_dagster.spark.python_daemon",
    # Spark asks for short tracebacks in some workers only, and has a daemon for either kind.
    "spark.sql.execution.pyspark.udf.simplifiedTraceback.enabled": "false",
    # Above 32 files Spark would list them in a job with as many tasks, which takes seconds.
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",
}

OF_FEW_ROWS: Final[Mapping[str, str]] = {
    # To generate code and compile it takes longer than few rows do without it.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    # It plans anew, and starts another job, after each shuffle.
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
}
"""What a session on one machine is set to for steps of few rows.

A small day takes two thirds of the time; one of a million events would take twice the time.
"""


def jvm_conf(driver_memory: str | None = None) -> dict[str, str]:
    """What a JVM on one machine is started with.

    `driver_memory` is the heap, such as `4g`. None: what VIDAGG_DRIVER_MEMORY says, else
    `default_driver_memory`.
    """
    heap = driver_memory or os.environ.get(MEMORY_SETTING) or default_driver_memory()
    return {**_LOCAL_CONF, **_machine_conf(), "spark.driver.memory": heap}


def start_jvm(build: "Callable[[], SparkSession]") -> "SparkSession":
    """Start Spark's JVM by `build`.

    Raises:
        EngineError: The JVM did not start.
    """
    from pyspark.errors import PySparkException

    try:
        try:
            return build()
        except PySparkException as error:
            if "JAVA_GATEWAY_EXITED" not in str(error):
                raise
            # The child process that becomes the JVM sometimes dies where gRPC's threads run in
            # this process, as Sail's do.
            return build()
    except Exception as error:
        raise EngineError(
            f"Spark's JVM did not start ({type(error).__name__}: {error}). Check the Java of "
            f"{SETTING}=spark and its memory ({MEMORY_SETTING}), or set {SETTING}=sail."
        ) from error


def build_session(conf: Mapping[str, str]) -> "SparkSession":
    """The session of this process's JVM, which `conf` configures where none runs yet."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder
    for key, value in conf.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def start_python(session: "SparkSession") -> Thread:
    """Have the process of the Python workers start now, beside what this process does next.

    The thread has to end before the session does: Spark tells at length of a task that is cut off.
    """

    def first_task() -> None:
        # It is only for time: whoever needs a worker gets the error, if there is one.
        with suppress(Exception):
            session.sparkContext.range(1, numSlices=1).count()

    thread = Thread(target=first_task, name="start-python-workers")
    thread.start()
    return thread


@contextmanager
def set_to(session: "SparkSession", conf: Mapping[str, str]) -> Iterator[None]:
    """Have `conf` set in the session within a `with` block."""
    before = {key: str(session.conf.get(key)) for key in conf}
    try:
        for key, value in conf.items():
            session.conf.set(key, value)
        yield
    finally:
        for key, value in before.items():
            session.conf.set(key, value)


def default_driver_memory() -> str:
    """Heap of the JVM: half of the machine's memory, between 1 and 16 GiB."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return "2g"
    return f"{min(_MAX_HEAP_MB, max(_MIN_HEAP_MB, total // (2 * 1024 * 1024)))}m"


def _machine_conf() -> dict[str, str]:
    cores = os.cpu_count() or 1
    log4j = Path(__file__).with_name("log4j2.properties").as_uri()
    return {
        # The default of 200 is meant for clusters; on a laptop empty tasks take most of the time.
        # Adaptive execution joins small partitions but never splits those that are too large.
        "spark.sql.shuffle.partitions": str(max(4, 2 * cores)),
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={log4j}",
    }

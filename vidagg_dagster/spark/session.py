"""Which engine computes: JVM Spark, Sail (in process, no Java) or a Spark Connect server.

One session per process and engine, always in UTC. Nothing is started or imported by loading this
module.
"""

import logging
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

from vidagg_dagster.core.errors import EngineError

if TYPE_CHECKING:
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession
    from pyspark.sql.connect.session import SparkSession as ConnectSession

log = logging.getLogger(__name__)

AUTO: Final = "auto"
SPARK: Final = "spark"
SAIL: Final = "sail"
CONNECT_PREFIX: Final = "sc://"
SETTING: Final = "VIDAGG_ENGINE"
MEMORY_SETTING: Final = "VIDAGG_DRIVER_MEMORY"
MINIMUM_JAVA: Final = 17

_CONNECT_PORT: Final = 15002
_CONNECT_S: Final = 15
_CONNECT_SWITCH: Final = "SPARK_CONNECT_MODE_ENABLED"

_SAIL_IDLE_SETTING: Final = "SAIL_SPARK__SESSION_TIMEOUT_SECS"
_SAIL_IDLE_S: Final = str(30 * 86_400)

_CONNECT_LOGGER: Final = "pyspark.sql.connect.logging"
_CONNECT_LOG_SWITCH: Final = "SPARK_CONNECT_LOG_LEVEL"

_SESSION_CONF: Final[Mapping[str, str]] = {
    "spark.sql.session.timeZone": "UTC",
    # INT96, Spark's default, carries no zone and no statistics; Delta asks for microseconds.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}


@dataclass(frozen=True)
class EngineChoice:
    """The engine that is used (`spark`, `sail` or an `sc://` address) and the reason."""

    engine: str
    reason: str


@dataclass(frozen=True)
class _Running:
    session: "SparkSession"
    conf: Mapping[str, str]
    server: "SparkConnectServer | None"
    """Sail's server, which stops when this last reference to it goes."""
    address: str | None
    """Where the session's server listens; None: it is a JVM of this process."""


_running: dict[str, _Running] = {}


def resolve_engine(engine: str = AUTO) -> EngineChoice:
    """Say which engine `engine` means here, without starting it.

    Args:
        engine: `auto`, `spark`, `sail` or `sc://host:port`.

    Raises:
        EngineError: The name is unknown, or that engine cannot run here.
    """
    if engine.startswith(CONNECT_PREFIX):
        return EngineChoice(engine, f"{SETTING} names a Spark Connect server")
    if engine not in (AUTO, SPARK, SAIL):
        raise EngineError(
            f"Unknown engine {engine!r} in {SETTING}. "
            f"Use auto, spark, sail or {CONNECT_PREFIX}host:port."
        )
    if engine == SAIL:
        _require_sail()
        return EngineChoice(SAIL, f"{SETTING}=sail")
    java = find_java()
    if java.usable:
        why = f"{SETTING}=spark" if engine == SPARK else f"Java {java.version} found at {java.path}"
        return EngineChoice(SPARK, why)
    if engine == SPARK:
        raise EngineError(
            f"{SETTING}=spark needs Java {MINIMUM_JAVA} or newer: {java.problem}. Install it "
            "(Debian, Ubuntu: apt-get install openjdk-17-jre-headless) and let JAVA_HOME or PATH "
            f"lead to it, or set {SETTING}=sail, which needs no Java."
        )
    _require_sail()
    return EngineChoice(SAIL, java.problem)


def engine_session(
    engine: str = AUTO,
    *,
    conf: Mapping[str, str] | None = None,
    jars: tuple[str, ...] = (),
    driver_memory: str | None = None,
) -> "SparkSession":
    """The session of an engine: started at the first call, the same one ever after.

    Args:
        engine: `auto`, `spark`, `sail` or `sc://host:port`.
        conf: Further Spark configuration. For a JVM session it must come with the first call,
            because a running JVM does not take it any more.
        jars: Paths of jars for a JVM session, likewise with the first call.
        driver_memory: Heap of the JVM, such as `4g`, if this call starts it. None: what
            VIDAGG_DRIVER_MEMORY says, else `default_driver_memory`.

    Raises:
        EngineError: The engine is unknown, cannot run here, or runs already with other `conf`.
    """
    choice = resolve_engine(engine)
    wanted = dict(conf or {})
    if jars:
        wanted["spark.jars"] = ",".join(jars)
    running = _running.get(choice.engine)
    if running is not None and not _answers(running):
        _discard(choice.engine)
        running = None
    if running is not None:
        lacking = sorted(key for key, value in wanted.items() if running.conf.get(key) != value)
        if lacking and choice.engine == SPARK:
            raise EngineError(
                f"The Spark JVM of this process runs already, without {', '.join(lacking)}. "
                "Ask for it with the first engine_session() call of the process."
            )
        use(choice.engine)
        return running.session

    log.info("Engine: %s (%s)", choice.engine, choice.reason)
    # Workers otherwise take the first `python3` of PATH, which may lack our packages.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    use(choice.engine)
    server: SparkConnectServer | None = None
    address: str | None = None
    if choice.engine == SPARK:
        session = _start_jvm(wanted, driver_memory)
    else:
        if choice.engine == SAIL:
            server, address = _start_sail()
        else:
            address = choice.engine
        session = _connect(address, wanted)
    _running[choice.engine] = _Running(session, wanted, server, address)
    return session


def use(engine: str) -> None:
    """Make `pyspark.sql.functions` speak to `engine`, in a process that has several.

    They look at an environment variable at each call to tell whether to build JVM or Spark Connect
    columns. Only needed when alternating: `engine_session` does it as well.
    """
    if engine == SPARK:
        os.environ.pop(_CONNECT_SWITCH, None)
    else:
        os.environ[_CONNECT_SWITCH] = "1"


@contextmanager
def using(engine: str) -> Iterator[None]:
    """`use(engine)` within a `with` block; what was in use before is restored after it."""
    before = os.environ.get(_CONNECT_SWITCH)
    use(engine)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_CONNECT_SWITCH, None)
        else:
            os.environ[_CONNECT_SWITCH] = before


def spills(session: "SparkSession") -> bool:
    """Whether the engine puts on disk what does not fit into memory. Sail does not.

    Of other Spark Connect servers it is not known, so they are taken for one that does not.
    """
    return not type(session).__module__.startswith("pyspark.sql.connect")


def stop_session(engine: str) -> None:
    """Stop the session of `engine` in this process, if it has one."""
    running = _running.pop(engine, None)
    if running is None:
        return
    with using(engine):
        running.session.stop()
    if running.server is not None:
        running.server.stop()


def stop_sessions() -> None:
    """Stop every session of this process. The next `engine_session` starts anew."""
    for engine in list(_running):
        stop_session(engine)
    os.environ.pop(_CONNECT_SWITCH, None)


@dataclass(frozen=True)
class Java:
    """The Java that Spark would start, and what is wrong with it (`problem` empty: nothing)."""

    path: str | None
    version: int | None
    problem: str

    @property
    def usable(self) -> bool:
        """Whether Spark can start on it."""
        return not self.problem


def find_java() -> Java:
    """Look for Java where Spark looks: `JAVA_HOME`, else `PATH`."""
    home = os.environ.get("JAVA_HOME")
    if home:
        path: str | None = str(Path(home) / "bin" / "java")
        if not Path(cast("str", path)).exists():
            return Java(None, None, f"JAVA_HOME is {home}, but there is no bin/java in it")
    else:
        path = shutil.which("java")
    if path is None:
        return Java(None, None, "no Java found in JAVA_HOME or PATH")
    try:
        answer = subprocess.run(
            [path, "-version"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Java(path, None, f"{path} does not run ({error})")
    found = re.search(r'version "(\d+)(?:\.(\d+))?', answer.stderr + answer.stdout)
    if found is None:
        return Java(path, None, f"{path} does not tell its version")
    version = int(found[1])
    if version == 1 and found[2]:  # up to Java 8: "1.8.0"
        version = int(found[2])
    if version < MINIMUM_JAVA:
        return Java(path, version, f"{path} is Java {version}")
    return Java(path, version, "")


def default_driver_memory() -> str:
    """Heap for the one JVM: half of the machine's memory, between 1 and 16 GiB."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return "2g"
    return f"{min(16 * 1024, max(1024, total // (2 * 1024 * 1024)))}m"


def _require_sail() -> None:
    from importlib.util import find_spec

    if find_spec("pysail") is None:
        raise EngineError(
            f"Neither Java {MINIMUM_JAVA} nor the Python package pysail is here, so there is no "
            f"engine to compute with. Install one: pip install 'vidagg_dagster[local]' brings "
            f"pysail ({SETTING}=sail), or install Java {MINIMUM_JAVA} ({SETTING}=spark)."
        )


def _start_jvm(extra: Mapping[str, str], driver_memory: str | None) -> "SparkSession":
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    cores = os.cpu_count() or 1
    memory = driver_memory or os.environ.get(MEMORY_SETTING) or default_driver_memory()
    conf = {
        "spark.app.name": "vidagg",
        "spark.master": "local[*]",
        "spark.driver.memory": memory,
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # 200, the default for clusters, costs a laptop most of its time in empty tasks; adaptive
        # execution joins small ones but never splits what was planned too coarse.
        "spark.sql.shuffle.partitions": str(max(4, 2 * cores)),
        "spark.sql.adaptive.enabled": "true",
        # Java never compiles a longer method; that of our parsing, by default, is one. In pieces it
        # takes a sixth less time.
        "spark.sql.codegen.hugeMethodLimit": "8000",
        # Each column expression would look up the line of Python it comes from: a sixth of the time
        # of a small day, for a hint in error messages that only we could use.
        "spark.python.sql.dataFrameDebugging.enabled": "false",
        # Above 32 files Spark would list them by a job of as many tasks: seconds for nothing.
        "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={_log4j_file().as_uri()}",
        **_SESSION_CONF,
        **extra,
    }
    builder = SparkSession.builder
    for key, value in conf.items():
        builder = builder.config(key, value)
    try:
        try:
            return builder.getOrCreate()
        except PySparkException as error:
            if "JAVA_GATEWAY_EXITED" not in str(error):
                raise
            # The child that becomes the JVM now and then dies where gRPC's threads run in this
            # process, as Sail's do.
            return builder.getOrCreate()
    except Exception as error:
        raise EngineError(
            f"Spark's JVM did not start ({type(error).__name__}: {error}). Check the Java of "
            f"{SETTING}=spark and {MEMORY_SETTING} (now {conf['spark.driver.memory']}), or set "
            f"{SETTING}=sail."
        ) from error


def _log4j_file() -> Path:
    return Path(__file__).with_name("log4j2.properties")


def _start_sail() -> "tuple[SparkConnectServer, str]":
    # Sail logs to standard error from its first second on, and forgets a session, with its views,
    # that was idle for some minutes, as those of notebooks are. Choices already made are kept.
    os.environ.setdefault("RUST_LOG", "error")
    os.environ.setdefault(_SAIL_IDLE_SETTING, _SAIL_IDLE_S)
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer()
    server.start(background=True)
    address = server.listening_address
    if address is None:
        raise EngineError(
            f"Sail's server did not start on the loopback address. Set {SETTING}=spark instead."
        )
    host, port = address
    return server, f"{CONNECT_PREFIX}{host}:{port}"


def _connect(address: str, extra: Mapping[str, str]) -> "SparkSession":
    # Not SparkSession.builder: that refuses a second kind of session beside a running JVM.
    from pyspark.sql.connect.session import SparkSession as ConnectSession

    if _CONNECT_LOG_SWITCH not in os.environ:
        # Off by default, but whoever configures logging anew, as Dagster does, turns it on again: a
        # page for each question that an engine answers with no, although the answer is raised too.
        logging.getLogger(_CONNECT_LOGGER).setLevel(logging.CRITICAL + 1)
    _require_listener(address)
    try:
        session = ConnectSession.builder.remote(address).create()
        for key, value in {**_SESSION_CONF, **extra}.items():
            session.conf.set(key, value)
    except Exception as error:
        raise EngineError(
            f"No usable Spark Connect server at {address} ({type(error).__name__}: {error}). "
            f"Start it, or correct {SETTING}."
        ) from error
    return cast("SparkSession", session)


def _require_listener(address: str) -> None:
    """Spark Connect itself would knock for ten minutes before it says that nobody is there."""
    place = urlsplit(address)
    try:
        host, port = place.hostname or "", place.port or _CONNECT_PORT
        socket.create_connection((host, port), timeout=_CONNECT_S).close()
    except (OSError, ValueError) as error:
        raise EngineError(
            f"No Spark Connect server at {address}: {error}. Start it, or correct {SETTING} "
            f"({CONNECT_PREFIX}host:port)."
        ) from error


def _answers(running: _Running) -> bool:
    """Whether nobody has stopped the session behind our back."""
    try:
        if running.address is not None:
            _require_listener(running.address)
        return bool(running.session.conf.get("spark.sql.session.timeZone"))
    except Exception:
        return False


def _discard(engine: str) -> None:
    """Forget a session that does not answer.

    It must be stopped, because PySpark keeps the first session of a process as the active one until
    then, and asks that for settings: a literal of a time then waited ten minutes for a dead server.
    """
    running = _running.pop(engine)
    if running.address is not None:
        # It cannot be told, and would be knocked at as long.
        cast("ConnectSession", running.session).release_session_on_close = False
    with using(engine), suppress(Exception):
        running.session.stop()
    if running.server is not None:
        running.server.stop()

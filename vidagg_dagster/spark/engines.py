"""Which engine computes: JVM Spark, Sail (in this process, without Java) or a Spark Connect server.

`auto` means Sail: on one machine it is the faster one, and every machine has it. Choosing starts
nothing, and loading this module imports no engine.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from vidagg_dagster.core.contract import AUTO, CONNECT_PREFIX, SAIL, SPARK
from vidagg_dagster.core.errors import EngineError
from vidagg_dagster.core.text import without_credentials
from vidagg_dagster.spark.java import MIN_JAVA, find_java

SETTING: Final = "VIDAGG_ENGINE"
MEMORY_SETTING: Final = "VIDAGG_DRIVER_MEMORY"


@dataclass(frozen=True)
class EngineChoice:
    """The engine that is used (`spark`, `sail` or an `sc://` address) and the reason."""

    engine: str
    reason: str

    @property
    def shown(self) -> str:
        """Both, for people: an address may carry a token."""
        return f"{without_credentials(self.engine)} ({self.reason})"


def resolve_engine(engine: str = AUTO) -> EngineChoice:
    """Say which engine `engine` means on this machine, without starting it.

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
    if engine == SPARK:
        _require_java()
        return EngineChoice(SPARK, f"{SETTING}=spark")
    _require_sail()
    return EngineChoice(SAIL, f"{SETTING}={engine}")


def _require_java() -> None:
    java = find_java()
    if not java.usable:
        raise EngineError(
            f"{SETTING}=spark needs Java {MIN_JAVA} or newer: {java.problem}. Install it "
            "(Debian, Ubuntu: apt-get install openjdk-17-jre-headless) and let JAVA_HOME or PATH "
            f"lead to it, or set {SETTING}=sail, which needs no Java."
        )


def _require_sail() -> None:
    if find_spec("pysail") is None:
        raise EngineError(
            "The engine Sail is the Python package pysail, which is not here. Install it: "
            f"pip install 'vidagg_dagster[local]'. Or set {SETTING}=spark, which needs Java "
            f"{MIN_JAVA} or newer."
        )

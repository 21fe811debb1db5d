"""Steps on JVM Spark in the process of the run: dagster-pyspark makes the session.

So the Launchpad shows Spark's configuration, and a run can have another one.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
from dagster_pyspark import LazyPySparkResource
from pydantic import field_validator

from vidagg_dagster.core.contract import SPARK
from vidagg_dagster.runners.local import LocalSteps
from vidagg_dagster.spark.session import engine_session, local_conf

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_ZONE: Final = "spark.sql.session.timeZone"


class LocalSpark(LazyPySparkResource):
    """The JVM of this machine. The first step of a run starts it, with `spark_config`.

    Keys that `spark_config` lacks have the values of `local_conf`: who changes one value in the
    Launchpad need not repeat the others.
    """

    @field_validator("spark_config")
    @classmethod
    def _with_all_others(cls, given: Mapping[str, Any]) -> dict[str, str]:
        nested = [key for key, value in given.items() if isinstance(value, Mapping)]
        if nested:
            raise ValueError(f"write {nested[0]} as whole keys, such as spark.driver.memory: 9g")
        conf = {key: _spark_text(value) for key, value in given.items()}
        if conf.get(_ZONE, "UTC") != "UTC":
            raise ValueError(
                f"{_ZONE} has to be UTC: tables hold times in UTC, and VIDAGG_TIMEZONE says which "
                "days the partitions are"
            )
        return {**local_conf(), **conf}


class JvmSteps(LocalSteps):
    """Runs steps in this process, by default on JVM Spark."""

    engine: str = SPARK
    pyspark: dg.ResourceDependency[LocalSpark]

    def session(self) -> "SparkSession":
        """The session of dagster-pyspark, unless the Launchpad names another engine.

        Raises:
            EngineError: The JVM does not start, or runs already with another configuration.
        """
        if self.engine != SPARK:
            return super().session()
        return engine_session(SPARK, conf=self._chosen(), build=lambda: self.pyspark.spark_session)

    def settings_for_few_rows(self) -> Mapping[str, str]:
        """Those of every runner, but for what the Launchpad says."""
        chosen = self._chosen()
        return {
            key: value
            for key, value in super().settings_for_few_rows().items()
            if key not in chosen
        }

    def _chosen(self) -> dict[str, str]:
        """What the Launchpad says otherwise than we do."""
        ours = local_conf()
        conf = self.pyspark.spark_config
        return {key: value for key, value in conf.items() if ours.get(key) != value}


def jvm_resources(driver_memory: str | None) -> dict[str, Any]:
    """The runner, and the configuration of Spark as a resource that the Launchpad edits."""
    spark = LocalSpark.configure_at_launch(spark_config=local_conf(driver_memory))
    return {"steps": JvmSteps(pyspark=spark), "pyspark": spark}


def _spark_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

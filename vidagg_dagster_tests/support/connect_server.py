"""A Spark Connect server.

`python -m vidagg_dagster_tests.support.connect_server PORT [conf=value ...]`

Prints `ready` and serves until its standard input ends, so it never outlives its parent.
"""

import os
import sys


def main(port: str, *settings: str) -> None:
    from vidagg_dagster.spark.session import SPARK, engine_session

    os.environ.pop("SPARK_CONNECT_MODE_ENABLED", None)
    engine_session(
        SPARK,
        conf={
            "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
            "spark.connect.grpc.binding.port": port,
            "spark.connect.grpc.binding.address": "127.0.0.1",
            **dict(setting.split("=", 1) for setting in settings),
        },
    )
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])

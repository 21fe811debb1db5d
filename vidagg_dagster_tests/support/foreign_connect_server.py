"""A Spark Connect server of somebody else: it and its Python know nothing of this package.

`python foreign_connect_server.py PORT`, in an environment that lacks the package.

Prints `ready` and serves until its standard input ends, so it never outlives its parent.
"""

import sys
from importlib.util import find_spec

from pyspark.sql import SparkSession


def main(port: str) -> None:
    assert find_spec("vidagg_dagster") is None
    assert find_spec("numba") is None
    (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "1g")
        .config("spark.plugins", "org.apache.spark.sql.connect.SparkConnectPlugin")
        .config("spark.connect.grpc.binding.port", port)
        .config("spark.connect.grpc.binding.address", "127.0.0.1")
        .getOrCreate()
    )
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])

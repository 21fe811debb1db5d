"""Spark Connect: sessions of Sail's server in this process, or of a server elsewhere."""

import logging
import os
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

from vidagg_dagster.core.contract import CONNECT_PREFIX
from vidagg_dagster.core.errors import EngineError
from vidagg_dagster.core.text import without_credentials
from vidagg_dagster.spark.allocators import keep_pages
from vidagg_dagster.spark.engines import SETTING

if TYPE_CHECKING:
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

_DEFAULT_PORT: Final = 15002
_LISTENER_TIMEOUT_S: Final = 15

_OF_SAIL: Final[Mapping[str, str]] = {
    # By default Sail logs to standard error from its first second on.
    "RUST_LOG": "error",
    # It also forgets a session, with its views, after some idle minutes, as those of notebooks are.
    "SAIL_SPARK__SESSION_TIMEOUT_SECS": str(30 * 86_400),
    # Most columns have nearly as many values as rows. Their dictionaries, of up to a megabyte, take
    # time and make files larger.
    "SAIL_PARQUET__DICTIONARY_PAGE_SIZE_LIMIT": str(1 << 16),
    # Smaller dictionaries save more space than a higher level does.
    "SAIL_PARQUET__COMPRESSION": "zstd(1)",
    # Rows are in no order by which the smallest and largest values of pages would spare any.
    "SAIL_PARQUET__STATISTICS_ENABLED": "chunk",
    # A second row group on its way takes memory, and no core is idle with one.
    "SAIL_PARQUET__MAXIMUM_PARALLEL_ROW_GROUP_WRITERS": "1",
}
"""How Sail starts, where the environment does not say otherwise."""

_LOGGER: Final = "pyspark.sql.connect.logging"
_LOG_SWITCH: Final = "SPARK_CONNECT_LOG_LEVEL"


def start_sail() -> "tuple[SparkConnectServer, str]":
    """Start Sail's server in this process; returns the server and its `sc://` address.

    Raises:
        EngineError: The server did not start.
    """
    for name, value in _OF_SAIL.items():
        os.environ.setdefault(name, value)
    keep_pages()
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


def connect(address: str, conf: Mapping[str, str]) -> "SparkSession":
    """Open a new session of the server at `address`, and set `conf` in it.

    Raises:
        EngineError: No server listens there, or it does not accept the session.
    """
    # Not SparkSession.builder: that refuses a second kind of session beside a running JVM.
    from pyspark.sql.connect.session import SparkSession as ConnectSession

    if _LOG_SWITCH not in os.environ:
        # PySpark leaves this logger off, but other logging set-ups, such as Dagster's, turn it on.
        # It then logs a page for each error that the engine answers, although PySpark raises that
        # error as well.
        logging.getLogger(_LOGGER).setLevel(logging.CRITICAL + 1)
    require_listener(address)
    try:
        session = ConnectSession.builder.remote(address).create()
        for key, value in conf.items():
            session.conf.set(key, value)
    except Exception as error:
        raise EngineError(
            without_credentials(
                f"No usable Spark Connect server at {address} ({type(error).__name__}: {error}). "
                f"Start it, or correct {SETTING}."
            )
        ) from error
    return cast("SparkSession", session)


def require_listener(address: str) -> None:
    """Check that something listens at `address`.

    Spark Connect itself retries for ten minutes before it reports that nothing does.

    Raises:
        EngineError: Nothing listens, or the address is malformed.
    """
    place = urlsplit(address)
    try:
        host, port = place.hostname or "", place.port or _DEFAULT_PORT
        socket.create_connection((host, port), timeout=_LISTENER_TIMEOUT_S).close()
    except (OSError, ValueError) as error:
        raise EngineError(
            without_credentials(
                f"No Spark Connect server at {address}: {error}. Start it, or correct {SETTING} "
                f"({CONNECT_PREFIX}host:port)."
            )
        ) from error

"""The engine of one command: started, used, stopped; and left alone where Ctrl-C ends it all."""

import logging
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@contextmanager
def engine_of_command(
    engine: str, conf: Mapping[str, str] | None = None
) -> "Iterator[SparkSession]":
    """The session of an engine, as long as the block runs. Nothing temporary is left behind.

    `conf` is further configuration of Spark.

    Raises:
        EngineError: The engine cannot run here.
    """
    from vidagg_dagster.spark.session import engine_session, stop_sessions

    session = engine_session(engine, conf=conf)
    scratch = tempfile.TemporaryDirectory(prefix="vidagg-", ignore_cleanup_errors=True)
    tempfile.tempdir = scratch.name
    # PySpark's own handler cancels the jobs first, of which the JVM then writes a page.
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield session
    except KeyboardInterrupt:
        # To release a session waits for what it computes, for minutes. The process ends instead.
        raise
    except BaseException:
        stop_sessions()
        raise
    else:
        stop_sessions()
    finally:
        tempfile.tempdir = None
        scratch.cleanup()


def _interrupt(_: int, __: FrameType | None) -> None:
    """End what is going on; Py4J would log the call that it interrupts, with a traceback."""
    logging.disable(logging.CRITICAL)
    raise KeyboardInterrupt

"""This package on a Spark Connect server that lacks it: sent along with the session.

Kernels are sent by name, so the server's Python must find their modules.
"""

import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final
from zipfile import ZIP_DEFLATED, ZipFile

from vidagg_dagster.core.errors import EngineError
from vidagg_dagster.core.version import __version__

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

PACKAGE: Final = Path(__file__).parents[1]

NEEDED: Final = ("numpy", "pyarrow", "pydantic")
"""What kernels import besides this package. Compiled modules cannot be sent along."""


def ship(spark: "SparkSession", address: str) -> None:
    """Send this package to the server at `address`, if its Python has not this version of it.

    Raises:
        EngineError: The server does not take it, or lacks a module of `NEEDED`.
    """
    try:
        with suppress(Exception):  # without the package not even the question can be read
            if _found(spark) == _wanted():
                return
        _send(spark)
        found = _found(spark)
    except Exception as error:
        raise EngineError(_hint(address, f"{type(error).__name__}: {error}")) from error
    if found != _wanted():
        raise EngineError(_hint(address, f"it has {found}, needed is {_wanted()}"))


def _wanted() -> str:
    return " ".join([__version__, *NEEDED])


def _found(spark: "SparkSession") -> str:
    """The version of this package in the engine's Python, and which modules of `NEEDED` are."""
    (row,) = spark.range(1).mapInArrow(_look, "found string").collect()
    return str(row[0])


def _look(batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    there = [name for name in NEEDED if find_spec(name)]
    for batch in batches:
        if batch.num_rows:
            found = " ".join([__version__, *there])
            yield pa.RecordBatch.from_pydict({"found": [found]})


def _send(spark: "SparkSession") -> None:
    path = [*sys.path]
    with TemporaryDirectory(prefix="vidagg-") as folder:
        archive = Path(folder, "vidagg_dagster.zip")
        with ZipFile(archive, "w", ZIP_DEFLATED) as zipped:
            for module in sorted(PACKAGE.rglob("*.py")):
                zipped.write(module, module.relative_to(PACKAGE.parent))
        spark.addArtifacts(str(archive), pyfile=True)
    sys.path[:] = path  # PySpark adds the archive here as well, where it is not needed


def _hint(address: str, problem: str) -> str:
    return (
        f"The Python of the Spark Connect server at {address} cannot run vidagg_dagster: "
        f"{problem}. Install {', '.join(NEEDED)} there, "
        f"or vidagg_dagster=={__version__}."
    )

"""The process from which JVM Spark forks its Python workers, with their libraries loaded once.

Spark runs this module instead of `pyspark.daemon` (`spark.python.daemon.module`). Each of its
workers, two for a core where two functions follow each other, would otherwise load numpy, Arrow,
pandas and numba by itself: a second or two of a core each.
"""

from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from typing import Final

LIBRARIES: Final = ("numpy", "pyarrow.compute", "pandas", "pydantic")
"""What kernels import, and pandas, which Arrow loads with the first array that becomes numpy's."""


def load(libraries: Iterable[str]) -> None:
    """Import what is there of `libraries`, and have numba ready to load code that it has kept."""
    for name in libraries:
        with suppress(ImportError):
            import_module(name)
    with suppress(ImportError):
        from numba import njit

        # With its first function numba loads what all functions need.
        njit()(_same)(1)


def _same(number: int) -> int:
    return number


def main() -> None:
    """Load the libraries, then fork workers when Spark asks for them."""
    from pyspark.daemon import manager

    load(LIBRARIES)
    manager()


if __name__ == "__main__":
    main()

"""How the allocators of a process that computes a large day deal with memory that is freed.

The kernel clears each page that it hands out. Pages that are given back and taken anew at every
step cost a third of the processor time of a daily run.
"""

import ctypes
import os
import sys
from collections.abc import Callable, Mapping
from typing import Final

_PURGE: Final = "MIMALLOC_PURGE_DELAY"

_OF_SAIL: Final[Mapping[str, str]] = {
    # Of huge pages the kernel clears far more than rows fill.
    "MIMALLOC_ALLOW_THP": "0",
    # What is free goes back at once. With any delay it goes back when Sail next frees something:
    # not while the fold has all rows. 10 M events of one user then take 1.2 GB more.
    _PURGE: "0",
}

_SOON_MS: Final = "1"
"""A daily run of 100 M events takes six sevenths of the time, and no more memory."""

_LATER_MS: Final = "1000"
"""A daily run of 10 M events takes a tenth less time than with a millisecond, and a tenth more
memory. One of 100 M would take a quarter more memory; one of many days would, too, and it would
take no less time."""

_MB: Final = 1 << 20

_OF_ARRAYS: Final[Mapping[int, int]] = {
    -8: 1,  # M_ARENA_MAX: the arenas of further threads are too small for large arrays.
    -3: 32 * _MB,  # M_MMAP_THRESHOLD: below it, the pages of an array serve the next.
    -1: 256 * _MB,  # M_TRIM_THRESHOLD: so much may stay free at the end of the heap.
}
"""Parameters of `mallopt` of the GNU C Library."""

_CHOSEN_BY_USER: Final = (
    "MALLOC_ARENA_MAX",
    "MALLOC_MMAP_THRESHOLD_",
    "GLIBC_TUNABLES",
    "ARROW_DEFAULT_MEMORY_POOL",
)


def keep_pages() -> None:
    """Let pages serve again. Settings of the environment stay; call it before Sail is loaded."""
    for name, value in _OF_SAIL.items():
        os.environ.setdefault(name, value)
    if sys.platform == "linux" and not any(name in os.environ for name in _CHOSEN_BY_USER):
        library = ctypes.CDLL(None)
        # Other C libraries, such as musl, have no such function.
        if hasattr(library, "mallopt"):
            for parameter, limit in _OF_ARRAYS.items():
                library.mallopt(parameter, limit)
            _arrow_from_the_heap()


def keep_what_sail_frees(memory_matters: Callable[[], bool]) -> None:
    """Let what Sail frees serve it again: for a run of many queries, of which most follow others.

    The setting of the environment stays. Without effect once Sail is loaded.
    """
    if _PURGE not in os.environ:
        os.environ[_PURGE] = _SOON_MS if memory_matters() else _LATER_MS


def _arrow_from_the_heap() -> None:
    """As numpy's arrays. Arrow's own allocator is of Sail's kind, and has its own free pages."""
    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())

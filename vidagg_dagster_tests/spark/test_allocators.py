"""Pages that an array has given back serve the next one, unless the environment says otherwise."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="of the GNU C Library")

ARRAY_PAGES = 5_000
SCRIPT = f"""
import os, resource, sys
import numpy as np
from vidagg_dagster.spark.allocators import keep_pages, keep_what_sail_frees

if "many" in sys.argv:
    keep_what_sail_frees(lambda: "large" in sys.argv)
keep_pages()

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.full({ARRAY_PAGES} * 512, 1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

first, second = faults(), faults()
print(first, second, os.environ["MIMALLOC_ALLOW_THP"], os.environ["MIMALLOC_PURGE_DELAY"])
"""


def told(*arguments: str, **environment: str) -> list[int]:
    plain = {name: value for name, value in os.environ.items() if "MALLOC" not in name}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        env=plain | {"NUMPY_MADVISE_HUGEPAGE": "0", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return [int(number) for number in done.stdout.split()]


def test_the_pages_of_an_array_serve_the_next() -> None:
    first, second, *of_sail = told()
    assert first > ARRAY_PAGES * 0.9
    assert second < ARRAY_PAGES / 10
    assert of_sail == [0, 0]


def test_in_a_run_of_many_queries_what_sail_frees_serves_it_again() -> None:
    assert told("many")[2:] == [0, 1000]
    assert told("many", "large")[2:] == [0, 1]
    assert told("many", MIMALLOC_PURGE_DELAY="7")[2:] == [0, 7]


def test_what_the_environment_says_stays() -> None:
    first, second, *of_sail = told(
        MALLOC_MMAP_THRESHOLD_="131072", MIMALLOC_PURGE_DELAY="7", MIMALLOC_ALLOW_THP="1"
    )
    assert min(first, second) > ARRAY_PAGES * 0.9
    assert of_sail == [1, 7]

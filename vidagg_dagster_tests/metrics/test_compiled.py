"""Machine code that is kept on disk is used until one of its sources changes, and no longer."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vidagg_dagster.metrics.compiled import can_compile
from vidagg_dagster_tests.support.repository import REPO

FOLD = """
from vidagg_dagster.metrics.compiled import Fold
from vidagg_dagster.metrics.playback import whole_ms


def _first(us, filled):
    filled[0] = whole_ms(0, us[0])
    return 1


first = Fold(_first)
"""

CALL = """
import numpy as np
from vidagg_dagster.metrics.first import first

filled = np.zeros(1, np.int64)
first.run_compiled(np.array([6_000], np.int64), filled)
print(filled[0])
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package, with a small fold whose rule is in another file."""
    copy = tmp_path / "vidagg_dagster"
    shutil.copytree(REPO / "vidagg_dagster", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "metrics" / "first.py").write_text(FOLD)
    return copy


def called(package: Path) -> str:
    """What the fold gives in a process of its own."""
    told = subprocess.run(
        [sys.executable, "-c", CALL],
        env=os.environ | {"PYTHONPATH": str(package.parent)},
        cwd=package.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout.strip()


def kept(package: Path) -> set[Path]:
    return set((package / "metrics" / "__pycache__").glob("first.*.nbc"))


@pytest.mark.skipif(not can_compile(), reason="numba is not installed")
def test_a_rule_that_changed_in_another_file_is_compiled_again(package: Path) -> None:
    assert called(package) == "6"
    before = kept(package)
    assert len(before) == 1
    assert called(package) == "6"
    assert kept(package) == before

    rules = package / "metrics" / "playback.py"
    rules.write_text(
        rules.read_text().replace("(to_us - from_us) // 1000", "(to_us - from_us) // 2000")
    )
    assert called(package) == "3"
    assert len(kept(package)) == 2

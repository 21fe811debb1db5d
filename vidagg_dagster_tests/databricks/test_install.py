"""What the page's own install brings is enough for Dagster where steps run on Databricks."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from vidagg_dagster_tests.support.repository import REPO

PAGE_EXTRAS = ("orchestration", "databricks")

LOAD = """
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from vidagg_dagster.definitions import defs
print(len(list(defs().resolve_all_asset_specs())))
from vidagg_dagster.cli.main import main
sys.exit(main(["databricks", "deploy", "--help"]))
"""


def extras() -> dict[str, set[str]]:
    """The packages of each extra of pyproject.toml, by the names that they are imported by."""
    found = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    return {
        extra: {re.split(r"[^\w-]", package)[0].replace("-", "_") for package in packages}
        for extra, packages in found["optional-dependencies"].items()
    }


def load_without(absent: set[str], folder: Path) -> subprocess.CompletedProcess[str]:
    settings = {
        "VIDAGG_TARGET": "databricks",
        "VIDAGG_START_DATE": "2026-01-05",
        "VIDAGG_SOURCE": "main.raw.player_events",
        "VIDAGG_DATABRICKS_SCHEMA": "main.video",
        "VIDAGG_DATABRICKS_VOLUME": "/Volumes/main/video/vidagg",
    }
    return subprocess.run(
        [sys.executable, "-c", LOAD.replace("ABSENT", repr(sorted(absent)))],
        cwd=folder,
        env={
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "PYTHONPATH": str(REPO),
            **settings,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_code_location_loads_with_the_extras_of_the_page_alone(tmp_path: Path) -> None:
    packages = extras()
    brought = set().union(*(packages[extra] for extra in PAGE_EXTRAS))
    # dagster-databricks brings dagster-pyspark, and that pyspark.
    absent = set().union(*packages.values()) - brought - {"dagster_pyspark", "pyspark"}
    assert {"deltalake", "pysail", "numba", "pandas"} <= absent
    done = load_without(absent, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.splitlines()[0]) >= 6


def test_it_is_seen_when_a_package_that_the_page_does_not_bring_is_needed(tmp_path: Path) -> None:
    done = load_without({"pyarrow"}, tmp_path)
    assert done.returncode == 1
    assert "No module named 'pyarrow'" in done.stderr


@pytest.mark.parametrize("extra", PAGE_EXTRAS)
def test_the_page_installs_these_extras(extra: str) -> None:
    page = (REPO / "docs" / "databricks.md").read_text()
    (installed,) = re.findall(r"'\.\[([\w,]+)\]'", page)
    assert extra in installed.split(",")

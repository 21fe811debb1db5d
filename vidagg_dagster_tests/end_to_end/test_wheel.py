"""The wheel alone: what a cluster gets must be whole, light, and in no need of Dagster."""

import os
import subprocess
import sys
from importlib.metadata import PathDistribution
from pathlib import Path
from zipfile import Path as ZipPath
from zipfile import ZipFile

import pytest

import vidagg_dagster
from vidagg_dagster.core.errors import WheelError
from vidagg_dagster.databricks.wheel import require_wheel, wheel_name

PACKAGE = Path(vidagg_dagster.__file__).parent


CORE = {"dagster-pipes", "pydantic"}


def test_the_version_is_in_the_name_and_all_of_the_package_inside(wheel: Path) -> None:
    assert wheel.name == wheel_name()
    files = {
        f"vidagg_dagster/{path.relative_to(PACKAGE)}"
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    assert files <= inside
    assert not [name for name in inside if name.startswith("vidagg_dagster_tests")]


def test_a_cluster_installs_no_orchestrator_and_no_engine(wheel: Path) -> None:
    (info,) = [p for p in ZipPath(ZipFile(wheel)).iterdir() if p.name.endswith(".dist-info")]
    distribution = PathDistribution(info)
    needed = [line for line in distribution.requires or [] if "extra ==" not in line]
    assert {line.split("~")[0].split(">")[0] for line in needed} == CORE
    assert "vidagg-step" in {point.name for point in distribution.entry_points}
    assert distribution.metadata["Requires-Python"] == ">=3.11"


def test_the_step_imports_from_the_wheel_with_dagster_blocked(wheel: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('dagster', 'dagster_databricks', 'databricks', 'deltalake', 'pysail'):\n"
        "    sys.modules[name] = None\n"
        "import vidagg_dagster.pipeline.run, vidagg_dagster.tables.catalog\n"
        "import vidagg_dagster.aggregator, vidagg_dagster.databricks.entrypoint as entry\n"
        "print(entry.__file__)\n"
        "entry.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(wheel)},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith(str(wheel)), done.stderr
    assert "NotStartedByDagsterError: vidagg-step is a task that Dagster starts" in done.stderr


def test_a_wheel_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WheelError, match="There is no wheel"):
        require_wheel(tmp_path / wheel_name())

"""The wheel alone: what a cluster gets must be whole, light, and in no need of Dagster."""

import json
import os
import shutil
import subprocess
import sys
import venv
from importlib.metadata import PathDistribution
from pathlib import Path
from zipfile import Path as ZipPath
from zipfile import ZipFile

import pytest

import vidagg_dagster
from vidagg_dagster.core.contract import StepName, TableStore
from vidagg_dagster.core.errors import WheelError
from vidagg_dagster.databricks.wheel import require_wheel, wheel_name
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.spark.session import SAIL, engine_session, using
from vidagg_dagster_tests.conftest import DELTA_FOR_SPARK_35, delta_conf, jars_from_maven, require
from vidagg_dagster_tests.support.cluster_steps import comparable, stored_rows
from vidagg_dagster_tests.support.small_site import day, write_site

REPO = Path(__file__).parents[2]
PACKAGE = Path(vidagg_dagster.__file__).parent
CORE = {"dagster-pipes", "pydantic"}
PYTHON_312 = "VIDAGG_TEST_PYTHON312"


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


ENGINE_TESTS = ("test_events", "test_sources", "test_arithmetic", "test_quality", "test_reference")
"""Of the tests of the engine, those that need neither Dagster nor tables in a folder."""


def environment(folder: Path, python: str, *packages: str) -> Path:
    """A virtual environment with packages; gives its interpreter."""
    if python == sys.executable:
        venv.create(folder, with_pip=True)
    else:
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
    interpreter = folder / "bin" / "python"
    pip = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *packages], check=True)
    return interpreter


def _clean_environment() -> dict[str, str]:
    """Without our settings, and without PySpark's switch that Sail in this process left on."""
    ours = ("VIDAGG_", "SPARK_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


SPARK_35 = ("pyspark[connect]==3.5.*", "pandas<3", "pyarrow>=17,<22")
TEST_PACKAGES = ("pytest", "hypothesis", "deltalake", "duckdb", "polars", "python-dotenv")


@pytest.mark.slow
def test_on_spark_3_5_the_engine_passes_its_tests_and_stores_the_same_rows(
    wheel: Path, tmp_path: Path
) -> None:
    """Databricks Runtime 15 and 16. The wheel is installed as a cluster would, by pip."""
    require(SAIL)
    python = environment(tmp_path / "env", sys.executable, *SPARK_35, *TEST_PACKAGES, str(wheel))
    tests = tmp_path / "work"
    shutil.copytree(REPO / "vidagg_dagster_tests", tests / "vidagg_dagster_tests")
    shutil.copy(REPO / "pyproject.toml", tests)

    def run(*arguments: str, **more: str) -> None:
        done = subprocess.run(
            [str(python), "-m", *arguments],
            cwd=tests,
            env={
                **_clean_environment(),
                "VIDAGG_TEST_ENGINES": "spark",
                "PYSPARK_PYTHON": str(python),
                **more,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]

    pages = [f"vidagg_dagster_tests/{name}.py" for name in ENGINE_TESTS]
    selected = ("-k", "not connect", "-m", "not slow or long_on_jvm")
    run("pytest", "-q", *selected, *pages)
    tables = "vidagg_dagster_tests/tables/test_tables.py"
    run("pytest", "-q", "-k", "catalog", tables, VIDAGG_TEST_CATALOG_SESSION="classic")

    out = tmp_path / "rows.json"
    site = write_site(tmp_path / "site", 2)
    jars = tmp_path / "jars"
    jars.mkdir()
    conf = delta_conf(jars_from_maven(DELTA_FOR_SPARK_35, jars), tmp_path / "warehouse")
    settings = [f"{name}={value}" for name, value in conf.items()]
    run("vidagg_dagster_tests.support.cluster_steps", str(site.folder), str(out), *settings)
    found = json.loads(out.read_text())
    with using(SAIL):
        sail = engine_session(SAIL)
        for step in StepName:
            run_step(sail, site.request(step, [day(0), day(1)]))
        local = TableStore(kind="local", location=str(site.tables))
        assert found == comparable(stored_rows(sail, local))


@pytest.mark.slow
def test_on_python_3_12_the_wheel_computes_a_day(
    wheel: Path, delta_jars: list[Path], tmp_path: Path
) -> None:
    """Serverless environments 3 to 5. Which interpreter: VIDAGG_TEST_PYTHON312, else in PATH."""
    python = os.environ.get(PYTHON_312) or shutil.which("python3.12")
    answers = python and subprocess.run([python, "-V"], capture_output=True, check=False)
    if not answers or answers.returncode:
        pytest.skip(f"no python3.12 here; {PYTHON_312} can name one")
    assert python is not None
    packages = ("pyspark[connect]==4.2.*", "pandas<3", "pyarrow>=17", str(wheel))
    interpreter = environment(tmp_path / "env", python, *packages)
    work = tmp_path / "work"
    shutil.copytree(REPO / "vidagg_dagster_tests", work / "vidagg_dagster_tests")
    out = tmp_path / "rows.json"
    site = write_site(tmp_path / "site", 1)
    conf = delta_conf(delta_jars, tmp_path / "warehouse")
    settings = [f"{name}={value}" for name, value in conf.items()]
    command = [str(interpreter), "-m", "vidagg_dagster_tests.support.cluster_steps"]
    subprocess.run(
        [*command, str(site.folder), str(out), *settings],
        cwd=work,
        env={**_clean_environment(), "PYSPARK_PYTHON": str(interpreter)},
        check=True,
    )
    rows = json.loads(out.read_text())["user_video_engagement"]
    assert {row["userId"]: row["totalWatchTime"] for row in rows if "001" in row["videoId"]} == {
        "peter": 130.0,
        "anna": 20.0,
    }

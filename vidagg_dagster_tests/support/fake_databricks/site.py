"""A workspace with a volume, a wheel and a Spark that runs its tasks."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from vidagg_dagster.core.unity_catalog import wheel_folder
from vidagg_dagster.databricks.wheel import PIPES, pack_installed
from vidagg_dagster_tests.support.fake_databricks.catalog import Catalog
from vidagg_dagster_tests.support.fake_databricks.runs import Runs
from vidagg_dagster_tests.support.fake_databricks.server import TOKEN, Workspace, serve
from vidagg_dagster_tests.support.fake_databricks.volumes import Volumes

CLUSTER = "1123-140512-abcd1234"


@dataclass(frozen=True)
class Databricks:
    """A running workspace."""

    workspace: Workspace
    volume: str

    @property
    def credentials(self) -> dict[str, str]:
        """The environment variables by which the SDK finds this workspace."""
        return {
            "DATABRICKS_HOST": self.workspace.address,
            "DATABRICKS_TOKEN": TOKEN,
            "DATABRICKS_CONFIG_FILE": "/dev/null",
        }

    def put_wheel(self, wheel: Path) -> None:
        folder = Path(wheel_folder(self.volume))
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(wheel, folder)
        pack_installed(PIPES, folder)

    def leftovers(self) -> list[str]:
        """Files that steps left on the volume."""
        return [
            str(path.relative_to(self.volume))
            for path in Path(self.volume).rglob("*")
            if path.is_file() and path.suffix != ".whl"
        ]


@contextmanager
def databricks(
    folder: Path,
    *,
    serverless: Mapping[str, str] | None = None,
    classic: Mapping[str, str] | None = None,
    environments: Mapping[str, Path] | None = None,
) -> Iterator[Databricks]:
    """Starts a workspace whose files lie below `folder`.

    Args:
        folder: An empty folder.
        serverless: Environment variables that lead a serverless task to its Spark.
        classic: The same for tasks on clusters.
        environments: See `Runs`.
    """
    root = folder / "Volumes"
    volume = root / "main" / "video" / "vidagg"
    volume.mkdir(parents=True)
    catalog = Catalog(
        catalogs=["main", "spark_catalog"],
        schemas=["main.video"],
        volumes=["main.video.vidagg"],
        sources=["main.video.events"],
        clusters={CLUSTER: {"state": "RUNNING", "spark_version": "17.3.x-scala2.13"}},
    )
    runs = Runs(folder / "output", serverless or {}, classic or {}, environments or {})
    workspace = Workspace(Volumes(root), runs, catalog)
    with serve(workspace):
        yield Databricks(workspace, str(volume))


def classic_spark(folder: Path, conf: Mapping[str, str]) -> dict[str, str]:
    """Variables for tasks that start their own JVM, as on a cluster; the metastore is in `folder`.

    The metastore is a Derby database, which admits one process at a time.
    """
    folder.mkdir(parents=True)
    settings = {
        "spark.master": "local[2]",
        "spark.driver.memory": "1g",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.catalogImplementation": "hive",
        # Derby would otherwise write its log into the working directory.
        "spark.driver.extraJavaOptions": f"-Dderby.system.home={folder}",
        "spark.hadoop.javax.jdo.option.ConnectionURL": (
            f"jdbc:derby:;databaseName={folder}/metastore;create=true"
        ),
        **conf,
    }
    lines = [f"{name} {value}" for name, value in settings.items()]
    (folder / "spark-defaults.conf").write_text("\n".join(lines) + "\n")
    return {"SPARK_CONF_DIR": str(folder)}


def fake_wheel(folder: Path, name: str, code: str) -> Path:
    """A wheel with our name whose `vidagg-step` runs `code`, as a wrong deployment would."""
    source = folder / "source"
    package = source / "vidagg_dagster"
    package.mkdir(parents=True)
    body = "".join(f"    {line}\n" for line in code.splitlines())
    (package / "__init__.py").write_text("")
    (package / "entry.py").write_text(f"def main():\n{body}")
    info = source / f"{name.removesuffix('-py3-none-any.whl')}.dist-info"
    info.mkdir()
    version = name.split("-")[1]
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: vidagg_dagster\nVersion: {version}\n"
    )
    (info / "WHEEL").write_text("Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n")
    (info / "entry_points.txt").write_text(
        "[console_scripts]\nvidagg-step = vidagg_dagster.entry:main\n"
    )
    archive = folder / name
    subprocess.run(
        [sys.executable, "-m", "zipfile", "-c", str(archive), str(package), str(info)], check=True
    )
    return archive


@contextmanager
def configured(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Databricks]:
    """A workspace. This process has its credentials, and no other settings."""
    for name in [n for n in os.environ if n.startswith(("DATABRICKS_", "VIDAGG_"))]:
        monkeypatch.delenv(name)
    with databricks(folder / "workspace") as running:
        settings = {
            **running.credentials,
            "VIDAGG_TARGET": "databricks",
            "VIDAGG_SOURCE": "main.video.events",
            "VIDAGG_DATABRICKS_SCHEMA": "main.video",
            "VIDAGG_DATABRICKS_VOLUME": running.volume,
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(folder)
        yield running

"""The commands of the README and the docs run, from top to bottom, on a fresh clone."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from vidagg_dagster_tests.support.dagster_ui import free_port, serving
from vidagg_dagster_tests.support.pages import COMMANDS
from vidagg_dagster_tests.support.repository import REPO

SERVING = {
    "make dev": "PORT={}",
    ".venv/bin/vidagg ui": "--port {}",
    ".venv/bin/dagster dev -w workspace.yaml": "--port {}",
}
"""The commands that serve until they are stopped, and the option for the port of each."""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A fresh clone with uncommitted changes, and nothing installed in it."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for name in listed:
        if (REPO / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPO / name, tmp_path / name)
    return tmp_path


def test_the_commands_of_the_pages_run_on_a_fresh_clone(clone: Path) -> None:
    """From top to bottom, with the exports of one shell, and without `make test`."""
    exports: dict[str, str] = {}
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VIDAGG_", "DAGSTER_", "PYTEST_")) and name != "VIRTUAL_ENV"
    }
    for line in COMMANDS:
        if line.startswith("export "):
            exports |= dict(pair.split("=", 1) for pair in line.split()[1:])
        elif line in SERVING:
            port = free_port()
            command = [*line.split(), *SERVING[line].format(port).split()]
            with serving(command, port, cwd=clone, env=environment | exports):
                pass
        elif line == "make test":
            continue
        else:
            result = subprocess.run(
                ["bash", "-c", line],
                cwd=clone,
                env=environment | exports,
                capture_output=True,
                text=True,
                check=False,
            )
            assert result.returncode == 0, f"{line}\n{result.stdout[-3000:]}{result.stderr[-3000:]}"
    assert (clone / "engagement.csv").read_text().count("peter") == 1
    assert (clone / "data" / "aggregated_user_video_engagement" / "_delta_log").is_dir()
    assert (clone / "demo_data" / "tables" / "live_user_video" / "_delta_log").is_dir()

"""Packages of npm that tests run: each is installed once, into the cache folder of the user."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest


def npm_package(name: str, version: str, *peers: str) -> Path:
    """The folder of a package; the test is skipped where it cannot be had.

    `peers` are packages that it needs beside it, with their versions.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vidagg-tests"
    folder = cache / f"{name.strip('@').replace('/', '-')}-{version}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as draft:
            _install([f"{name}@{version}", *peers], Path(draft, "installed"))
            Path(draft, "installed").replace(folder)
    return folder / "node_modules" / name


def _install(packages: list[str], folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"{packages[0]}: there is no npm here")
    options = ("--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--silent")
    done = subprocess.run(
        [npm, "install", *options, "--prefix", str(folder), *packages],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"{packages[0]}: {(done.stderr or done.stdout).strip()[-500:]}")

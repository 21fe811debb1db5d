"""Interpreters of several versions of Python, and virtual environments made of them."""

import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import pytest


def interpreter(version: str) -> str:
    """An interpreter of Python `version`, such as 3.12. Skips the test where there is none.

    It is looked for in VIDAGG_TEST_PYTHON312, in PATH and among the versions of pyenv.
    """
    for python in _candidates(version):
        if _version_of(python) == version:
            return python
    pytest.skip(f"no python{version} here; VIDAGG_TEST_PYTHON{version.replace('.', '')} names one")


def environment(folder: Path, python: str, *packages: str) -> Path:
    """A virtual environment with packages; returns its interpreter."""
    if python == sys.executable:
        venv.create(folder, with_pip=True)
    else:
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
    made = folder / "bin" / "python"
    # Isolated: what PYTHONPATH names would be taken for installed already.
    pip = [str(made), "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *packages], check=True)
    return made


def _candidates(version: str) -> Iterator[str]:
    yield sys.executable
    named = os.environ.get(f"VIDAGG_TEST_PYTHON{version.replace('.', '')}")
    if named:
        yield named
    found = which(f"python{version}")
    if found:
        yield found
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python")))


def _version_of(python: str) -> str | None:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        told = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return told.stdout.strip() or None

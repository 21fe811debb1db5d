"""The package as a wheel: its name on the volume, and how to build it."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Final

import vidagg_dagster
from vidagg_dagster.core.errors import WheelError

PACKAGE: Final = "vidagg_dagster"
ENTRY_POINT: Final = "vidagg-step"


def wheel_name() -> str:
    """The file name of this version's wheel.

    It contains the version, because clusters do not install a path again.
    """
    return f"{PACKAGE}-{version(PACKAGE)}-py3-none-any.whl"


def build_wheel(folder: Path) -> Path:
    """Build the wheel from the source tree that this package runs from.

    Raises:
        WheelError: The package runs without its sources, or the build fails.
    """
    root = Path(vidagg_dagster.__file__).parent.parent
    if not (root / "pyproject.toml").exists():
        raise WheelError(
            f"{PACKAGE} is installed at {root}, without the sources that a wheel is built from. "
            f"Give the wheel that it was installed from: --wheel {wheel_name()}"
        )
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet"]
    built = subprocess.run(
        [*command, "--disable-pip-version-check", "--wheel-dir", str(folder), str(root)],
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        raise WheelError(f"The wheel cannot be built from {root}:\n{built.stderr.strip()}")
    return require_wheel(folder / wheel_name())


def require_wheel(path: Path) -> Path:
    """`path`, if it is the wheel of this version.

    Raises:
        WheelError: There is no such file, or it is another version.
    """
    if not path.is_file():
        raise WheelError(f"There is no wheel {path}.")
    if path.name != wheel_name():
        raise WheelError(
            f"{path.name} is another version: steps of this installation ask for {wheel_name()}. "
            "Deploy from the environment that Dagster runs in."
        )
    return path

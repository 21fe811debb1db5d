"""The package as a wheel: its name on the volume, and how to build it."""

import base64
import hashlib
import subprocess
import sys
import zipfile
from importlib.metadata import PackagePath, distribution, version
from pathlib import Path
from typing import Final

import vidagg_dagster
from vidagg_dagster.core.errors import WheelError

PACKAGE: Final = "vidagg_dagster"
ENTRY_POINT: Final = "vidagg-step"

PIPES: Final = "dagster-pipes"
"""What a task speaks to Dagster with. It is to be of Dagster's own version."""


def wheel_name() -> str:
    """The file name of this version's wheel.

    It contains the version, because clusters do not install a path again.
    """
    return f"{PACKAGE}-{vidagg_dagster.__version__}-py3-none-any.whl"


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


def installed_wheel_name(package: str) -> str:
    """The file name of the wheel of a package of pure Python that is installed here."""
    return f"{package.replace('-', '_')}-{version(package)}-py3-none-any.whl"


def pack_installed(package: str, folder: Path) -> Path:
    """The wheel of a package of pure Python, made from its installed files.

    Raises:
        WheelError: The package has compiled files, or is installed from a source tree.
    """
    found = distribution(package)
    kept = [file for file in found.files or () if _belongs_into_wheel(file)]
    pure = "Root-Is-Purelib: true" in (found.read_text("WHEEL") or "")
    if not pure or not any(file.suffix == ".py" for file in kept):
        raise WheelError(f"{package} is not installed from a wheel of pure Python.")
    record = next(file for file in kept if file.name == "RECORD")
    made = folder / installed_wheel_name(package)
    rows = []
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(kept):
            if file == record:
                continue
            content = file.read_binary()
            archive.writestr(_entry(file.as_posix()), content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            rows.append(f"{file.as_posix()},sha256={digest.decode()},{len(content)}\n")
        archive.writestr(_entry(record.as_posix()), "".join([*rows, f"{record.as_posix()},,\n"]))
    return made


def _entry(name: str) -> zipfile.ZipInfo:
    """Of a fixed time, so that the same files make the same wheel."""
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o644 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _belongs_into_wheel(file: PackagePath) -> bool:
    by_pip = file.name in ("INSTALLER", "REQUESTED", "direct_url.json")
    return ".." not in file.parts and "__pycache__" not in file.parts and not by_pip


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

"""The machine and the versions that were measured."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

PACKAGES = ("pyspark", "pysail", "duckdb", "numpy", "pyarrow", "deltalake", "dagster")


def machine() -> dict[str, str]:
    """Name -> value, as the report prints them."""
    return {
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GB",
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "Python": platform.python_version(),
        "Java": _java(),
        **{name: version(name) for name in PACKAGES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _java() -> str:
    if shutil.which("java") is None:
        return "none"
    answer = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)
    return answer.stderr.splitlines()[0].split('"')[1] if '"' in answer.stderr else "unknown"

"""The Java of this machine: where Spark would find it, and whether Spark can start on it."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MIN_JAVA: Final = 17
"""The oldest Java that Spark 4 starts on."""

_VERSION_TIMEOUT_S: Final = 60


@dataclass(frozen=True)
class Java:
    """The Java that Spark would start, and what is wrong with it (`problem` empty: nothing)."""

    path: str | None
    version: int | None
    problem: str

    @property
    def usable(self) -> bool:
        """Whether Spark can start on it."""
        return not self.problem


def find_java() -> Java:
    """Look for Java where Spark looks: in `JAVA_HOME`, else in `PATH`."""
    home = os.environ.get("JAVA_HOME")
    if home:
        in_home = Path(home) / "bin" / "java"
        if not in_home.exists():
            return Java(None, None, f"JAVA_HOME is {home}, but there is no bin/java in it")
        return _checked(str(in_home))
    in_path = shutil.which("java")
    if in_path is None:
        return Java(None, None, "no Java found in JAVA_HOME or PATH")
    return _checked(in_path)


def _checked(path: str) -> Java:
    try:
        answer = subprocess.run(
            [path, "-version"],
            capture_output=True,
            text=True,
            timeout=_VERSION_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Java(path, None, f"{path} does not run ({error})")
    version = _version(answer.stderr + answer.stdout)
    if version is None:
        return Java(path, None, f"{path} does not tell its version")
    if version < MIN_JAVA:
        return Java(path, version, f"{path} is Java {version}")
    return Java(path, version, "")


def _version(text: str) -> int | None:
    found = re.search(r'version "(\d+)(?:\.(\d+))?', text)
    if found is None:
        return None
    major, minor = found.groups()
    # Up to Java 8 the second number counts: "1.8.0".
    return int(minor) if major == "1" and minor else int(major)

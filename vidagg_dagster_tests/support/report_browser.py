"""The page in a real browser: Debian's Chromium, without a window."""

import base64
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from recordings.chromium import Chromium, ChromiumPage, chromium

Scheme = Literal["light", "dark"]

KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), "ArrowRight": (39, ""), "Space": (32, " ")}


@contextmanager
def browser() -> Iterator[Chromium]:
    """A running Chromium; the test is skipped where there is none."""
    binary = shutil.which("chromium")
    if binary is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    with chromium(binary) as started:
        yield started


class Shown:
    """One page in a tab."""

    def __init__(self, running: Chromium) -> None:
        self.tab: ChromiumPage = running.new_page(running.new_person(), new_window=True)

    def open(
        self, file: Path, *, at: str = "", scheme: Scheme = "light", width: int = 1280
    ) -> None:
        """Show a file, at a place of it, in light or dark colours."""
        self.tab.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.tab.call("Emulation.setEmulatedMedia", features=[feature])
        self.tab.navigate("about:blank")
        self.tab.until("location.href === 'about:blank'")
        self.tab.navigate(file.absolute().as_uri() + (f"#{at}" if at else ""))
        self.tab.until("location.protocol === 'file:' && document.readyState === 'complete'")

    def js(self, expression: str) -> Any:
        """The value of an expression; of a promise, what it comes to."""
        answer = self.tab.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression[:200]}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def press(self, *names: str) -> None:
        """Press keys one after the other."""
        for name in names:
            code, text = KEYS[name]
            for kind in ("keyDown", "keyUp"):
                self.tab.call(
                    "Input.dispatchKeyEvent",
                    type=kind,
                    key=" " if name == "Space" else name,
                    code=name,
                    windowsVirtualKeyCode=code,
                    text=text if kind == "keyDown" else "",
                )

    def picture(self, file: Path) -> None:
        """Write what is in the window as PNG."""
        shot = self.tab.call("Page.captureScreenshot", format="png")
        file.write_bytes(base64.b64decode(shot["data"]))


AXE = "axe-core@4.14.1"
"""The checker of accessibility, MPL-2.0: tests run it, and nothing of it is shipped."""


def axe_source() -> str:
    """The script of axe-core, from npm once; the test is skipped where it cannot be had."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vidagg"
    folder = cache / AXE.replace("@", "-")
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not script.is_file():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("axe-core: there is no npm here")
        folder.mkdir(parents=True, exist_ok=True)
        options = ["--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
        command = [npm, "install", *options, "--prefix", str(folder), AXE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            pytest.skip(f"axe-core: npm cannot install it: {done.stderr[-300:]}")
    return script.read_text(encoding="utf-8")

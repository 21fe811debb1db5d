"""The picture of docs/report.md: two parts of the demo's page, as Chromium shows them.

`python -m tools.report_picture` takes it of what `vidagg demo` has left in `demo_data`.
"""

import base64
import shutil
import sys
from pathlib import Path
from typing import Final

from recordings.chromium import ChromiumPage, chromium

PAGE: Final = Path("demo_data/tables/engagement.html")
PICTURE: Final = Path("docs/images/report.png")
WIDTH: Final = 1120
SHOWN: Final = """
const [overview, video] = ['overview', 'VIDEO'].map(id => document.getElementById(id));
overview.hidden = video.hidden = false;
const heading = document.getElementById('h-videos');
while (heading.nextElementSibling) heading.nextElementSibling.remove();
for (const one of [heading, ...document.querySelectorAll('header, footer, .turn')]) one.remove();
return document.documentElement.scrollHeight;
"""
"""The overview down to its table, and below it one video."""


def take(page: ChromiumPage) -> bytes:
    """The picture as PNG."""
    open_page(page, PAGE)
    video = page.js("document.querySelector('section.video:has(li.again)').id")
    return picture_of(page, SHOWN.replace("VIDEO", video))


def open_page(page: ChromiumPage, file: Path) -> None:
    """Show a page of this machine, by day."""
    page.call("Emulation.setEmulatedMedia", features=[_scheme("light")])
    _size(page, 900)
    page.navigate(file.absolute().as_uri())
    page.until("location.protocol === 'file:' && document.readyState === 'complete'")


def picture_of(page: ChromiumPage, script: str) -> bytes:
    """The whole page as PNG, after a script that leaves what is shown and returns its height."""
    _size(page, int(page.js(f"(() => {{ {script} }})()")))
    return base64.b64decode(page.call("Page.captureScreenshot", format="png")["data"])


def _scheme(name: str) -> dict[str, str]:
    return {"name": "prefers-color-scheme", "value": name}


def _size(page: ChromiumPage, height: int) -> None:
    page.call(
        "Emulation.setDeviceMetricsOverride",
        width=WIDTH,
        height=height,
        deviceScaleFactor=1,
        mobile=False,
    )


if __name__ == "__main__":
    binary = shutil.which("chromium")
    if binary is None or not PAGE.is_file():
        sys.exit("needs chromium, and the page that `vidagg demo` writes")
    with chromium(binary) as browser:
        shown = browser.new_page(browser.new_person(), new_window=True)
        PICTURE.write_bytes(take(shown))

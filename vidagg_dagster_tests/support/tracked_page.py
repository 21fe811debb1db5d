"""A real video in a real browser, on a page with somebody's tracker: what it sends and plays."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from recordings.chromium import chromium
from recordings.clips import CLIPS, make_clip
from recordings.files import Json
from recordings.person import Person, Scenario
from recordings.server import PAGE, Log, serve

CLIP: Final = CLIPS[1]
USER: Final = "viewer"
SESSION: Final = "visit"
_BROWSER: Final = "/usr/bin/chromium"


class Sent(NamedTuple):
    """What a tracker sent during a page load, and what the page really played."""

    beacons: list[Json]
    truth: Json


def record_page(html: str, scripts: Mapping[str, Path], act: Callable[[Person], None]) -> Sent:
    """Act it out in Chromium, on the page of the recordings with `html` behind it.

    `scripts` are served by their paths. The page itself tells nothing.
    """
    for program in (_BROWSER, "ffmpeg"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    page = f"{PAGE.read_text('utf-8')}<script>window.track = () => {{}};</script>{html}"
    sources = {path: file.read_bytes() for path, file in scripts.items()}
    log = Log()
    scenario = Scenario("tracker", "Events by a tracker.", CLIP.video_id, "seeked", {}, act)
    with tempfile.TemporaryDirectory() as folder:
        make_clip(CLIP, Path(folder))
        with (
            serve(Path(folder), log, page.encode(), sources) as base,
            chromium(_BROWSER) as browser,
        ):
            # Some trackers speak plain HTTP to this name alone.
            address = base.replace("127.0.0.1", "localhost")
            person = Person(browser, address, log, scenario, USER, SESSION)
            act(person)
            person.finish()
    (truth,) = person.truth
    return Sent(log.events, truth)

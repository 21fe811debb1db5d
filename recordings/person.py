"""The person in front of a browser: hands, and what happened in each tab."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import urlencode

from recordings.browser import Browser, Page, Slider
from recordings.files import Json
from recordings.server import Log


class Tab:
    """A tab with the player in it, and the hands of the person in front of it."""

    def __init__(self, page: Page, session: str) -> None:
        self.page = page
        self.session = session

    def at(self, position: float) -> None:
        """Wait until the video has played up to this position."""
        self.page.until(f"!video.seeking && video.currentTime >= {position}")

    def until(self, condition: str) -> None:
        self.page.until(condition)

    def is_paused(self) -> bool:
        return bool(self.page.js("video.paused"))

    # Mouse and keyboard

    def play_button(self) -> None:
        """Click the play/pause button."""
        self.page.wake_controls()
        x, y = self.page.play_button()
        self.page.mouse("move", x, y)
        self.page.mouse("press", x, y)
        self.page.mouse("release", x, y)

    def play(self) -> None:
        self.play_button()
        self.until("!video.paused")

    def pause(self) -> None:
        self.play_button()
        self.until("video.paused")

    def slider(self) -> Slider:
        self.page.wake_controls()
        return self.page.slider()

    def point(self, slider: Slider, position: float) -> float:
        share = position / float(self.page.js("video.duration"))
        return slider.left + (slider.right - slider.left) * min(1.0, max(0.0, share))

    def click_slider(self, position: float) -> None:
        """Press and let go at another place of the slider, as a quick click does (80 ms)."""
        slider = self.slider()
        x = self.point(slider, position)
        self.page.mouse("move", x, slider.y)
        self.page.mouse("press", x, slider.y)
        time.sleep(0.08)
        self.page.mouse("release", x, slider.y)

    def drag(self, *stops: float, seconds: float = 0.6, steps: int = 12) -> None:
        """Take the thumb where it is, pull it to each stop in turn, and let go at the last."""
        slider = self.slider()
        here = self.point(slider, float(self.page.js("video.currentTime")))
        self.page.mouse("move", here, slider.y)
        self.page.mouse("press", here, slider.y)
        places = [here, *(self.point(slider, stop) for stop in stops)]
        for a, b in pairwise(places):
            for step in range(1, steps + 1):
                time.sleep(seconds / steps)
                self.page.mouse("drag", a + (b - a) * step / steps, slider.y)
        self.page.mouse("release", places[-1], slider.y)

    def focus(self) -> None:
        self.page.js("video.focus()")

    def right(self) -> None:
        self.page.key("ArrowRight")

    def left(self) -> None:
        self.page.key("ArrowLeft")

    def space(self) -> None:
        self.page.key("Space")

    # What a page's own buttons do

    def jump(self, position: float) -> None:
        self.page.js(f"video.currentTime = {position}")

    def skip(self, seconds: float) -> None:
        self.page.js(f"video.currentTime += {seconds}")

    def speed(self, rate: float) -> None:
        self.page.js(f"video.playbackRate = {rate}")

    def stop(self) -> None:
        self.page.js("video.pause()")

    def choose(self, video: str) -> None:
        self.page.js(f"choose('{video}')")
        self.until("video.readyState >= 2")


def player_url(base: str, user: str, session: str, video: str, settings: dict[str, str]) -> str:
    """The address of the page with the player."""
    query = {"user": user, "session": session, "video": video} | settings
    return f"{base}/player.html?{urlencode(query)}"


class Person:
    """Someone who acts out a scenario, and the record of what was really played.

    `prefix` begins the names of the sessions.
    """

    def __init__(
        self, browser: Browser, base: str, log: Log, scenario: "Scenario", user: str, prefix: str
    ) -> None:
        self.browser = browser
        self.base = base
        self.log = log
        self.scenario = scenario
        self.user = user
        self.prefix = prefix
        self.truth: list[Json] = []
        self.loads: dict[str, int] = {}
        self.profile = browser.new_person()
        self.tabs: list[Tab] = []

    def url(self, session: str, video: str) -> str:
        return player_url(self.base, self.user, session, video, self.scenario.page)

    def tab(self, suffix: str = "") -> Tab:
        """The player in a new window."""
        tab = Tab(self.browser.new_page(self.profile, new_window=True), self.prefix + suffix)
        self.tabs.append(tab)
        tab.page.open(self.url(tab.session, self.scenario.video))
        return tab

    def look_away(self, tab: Tab, seconds: float) -> None:
        """Put an empty tab in front of the player for a while."""
        other = self.browser.new_page(self.profile, new_window=False)
        other.bring_to_front()
        time.sleep(seconds)  # by the clock: whether it goes on playing is the question
        other.close()
        tab.page.bring_to_front()

    def read_truth(self, tab: Tab) -> None:
        """Call it just before a page goes away: the next page starts from zero."""
        self.loads[tab.session] = self.loads.get(tab.session, 0) + 1
        for row in tab.page.js("truth()"):
            head = {
                "userId": self.user,
                "sessionId": tab.session,
                "videoId": row.pop("videoId"),
                "page_load": self.loads[tab.session],
                "scenario": self.scenario.name,
                "description": self.scenario.description,
            }
            settings = {
                "seek_event": self.scenario.seek_event,
                "heartbeat_seconds": float(self.scenario.page.get("heartbeat", 0)),
                "browser": self.browser.name,
                "version": self.browser.version,
            }
            self.truth.append(head | row | settings)

    def reload(self, tab: Tab) -> None:
        self.read_truth(tab)
        tab.page.js("window.old = true")
        tab.page.reload()
        tab.until("!window.old && typeof truth === 'function' && video.readyState >= 1")

    def go(self, tab: Tab, video: str) -> None:
        self.read_truth(tab)
        tab.page.open(self.url(tab.session, video))

    def close(self, tab: Tab) -> None:
        self.read_truth(tab)
        tab.page.close()
        self.tabs.remove(tab)

    def finish(self) -> None:
        # A last pause is an event like any other: a tab closed in the same instant swallows it.
        time.sleep(0.8)
        for tab in list(self.tabs):
            self.close(tab)
        # Requests that outlive their page may still be on the way.
        known = -1
        while known != (known := self.log.size()):
            time.sleep(0.4)
        self.browser.remove_person(self.profile)


@dataclass(frozen=True)
class Scenario:
    """What a person does with a video.

    `page` are settings of the page; `seek_event` is the DOM event at which a plain tracker
    reports a seek.
    """

    name: str
    description: str
    video: str
    seek_event: str
    page: dict[str, str]
    act: Callable[[Person], None]

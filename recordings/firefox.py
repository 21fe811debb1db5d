"""Firefox, over WebDriver BiDi."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from recordings.browser import Browser, Key, Mouse, Page, Slider, Wire, started, wait_for_file
from recordings.files import Json

PREFERENCES: Final = {
    "app.update.enabled": False,
    "browser.aboutConfig.showWarning": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
}
"""Playing may begin without a gesture, and nothing is fetched in the background."""

KEYS: Final = {"ArrowRight": "\ue014", "ArrowLeft": "\ue012", "Space": " "}
BAR_MIDDLE: Final = 20
"""The bar of controls is 40 pixels high, and the play button as wide."""


class FirefoxPage(Page):
    """A tab. Its controls are closed to scripts, so their places are learned by trying."""

    def __init__(self, wire: Wire, context: str, sliders: dict[str, Slider]) -> None:
        self.wire = wire
        self.context = context
        self.sliders = sliders

    def call(self, method: str, **params: object) -> Json:
        return self.wire.call(method, params | {"context": self.context})

    def js(self, expression: str) -> Any:
        answer = self.wire.call(
            "script.evaluate",
            {
                "expression": f"JSON.stringify({expression})",
                "target": {"context": self.context},
                "awaitPromise": False,
                "userActivation": True,
            },
        )
        if answer["type"] != "success":
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']['text']}")
        value = answer["result"].get("value")
        return None if value is None else json.loads(value)

    def navigate(self, url: str) -> None:
        self.call("browsingContext.navigate", url=url, wait="none")

    def reload(self) -> None:
        self.call("browsingContext.reload", wait="none")

    def close(self) -> None:
        self.call("browsingContext.close")

    def bring_to_front(self) -> None:
        self.call("browsingContext.activate")

    def act(self, source: Json) -> None:
        self.call("input.performActions", actions=[source])

    def mouse(self, kind: Mouse, x: float, y: float) -> None:
        move = {"type": "pointerMove", "x": round(x), "y": round(y), "duration": 0}
        actions: list[Json] = [move]
        if kind in ("press", "release"):
            name = "pointerDown" if kind == "press" else "pointerUp"
            actions.append({"type": name, "button": 0})
        self.act({"type": "pointer", "id": "mouse", "actions": actions})

    def key(self, name: Key) -> None:
        actions = [{"type": kind, "value": KEYS[name]} for kind in ("keyDown", "keyUp")]
        self.act({"type": "key", "id": "keys", "actions": actions})

    def bar(self) -> tuple[float, float]:
        """The left end of the bar of controls, and its middle from above."""
        left, bottom = self.js(
            "(({left, bottom}) => [left, bottom])(video.getBoundingClientRect())"
        )
        return left, bottom - BAR_MIDDLE

    def play_button(self) -> tuple[float, float]:
        left, y = self.bar()
        return left + BAR_MIDDLE, y

    def slider(self) -> Slider:
        return self.sliders[self.js("videoId")]

    def position_at(self, x: float, y: float) -> float:
        """Where the video stands after a click there."""
        for kind in ("move", "press", "release"):
            self.mouse(kind, x, y)
        self.until("video.currentTime > 0 && !video.seeking")
        return float(self.js("video.currentTime"))


class Firefox(Browser):
    """One connection to a running Firefox."""

    name = "Firefox"

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.sliders: dict[str, Slider] = {}
        told = wire.call("session.new", {"capabilities": {}})
        self.version = str(told["capabilities"]["browserVersion"])

    def new_person(self) -> str:
        return str(self.wire.call("browser.createUserContext", {})["userContext"])

    def remove_person(self, person: str) -> None:
        self.wire.call("browser.removeUserContext", {"userContext": person})

    def new_page(self, person: str, *, new_window: bool) -> FirefoxPage:
        wanted = {"type": "window" if new_window else "tab", "userContext": person}
        made = self.wire.call("browsingContext.create", wanted)
        return FirefoxPage(self.wire, str(made["context"]), self.sliders)

    def learn(self, url: str, video: str) -> None:
        person = self.new_person()
        page = self.new_page(person, new_window=True)
        page.open(url)
        page.wake_controls()
        (left, y), width = page.bar(), page.js("video.clientWidth")
        some, other = left + 0.3 * width, left + 0.6 * width
        at_some, at_other = page.position_at(some, y), 0.0
        while at_other <= at_some:
            at_other = page.position_at(other, y)
        pixels = (other - some) / (at_other - at_some)
        begins = some - at_some * pixels
        ends = begins + float(page.js("video.duration")) * pixels
        self.sliders[video] = Slider(begins, ends, y)
        page.close()
        self.remove_person(person)

    def quit(self) -> None:
        self.wire.call("browser.close", {})


@contextmanager
def firefox(binary: str) -> Iterator[Firefox]:
    """A headless Firefox with a new profile."""
    profile = Path(tempfile.mkdtemp(prefix="recording-"))
    lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in PREFERENCES.items()]
    (profile / "user.js").write_text("".join(lines))
    command = [binary, "--headless", "--no-remote", "--profile", str(profile)]
    command += ["--width", "900", "--height", "700", "--remote-debugging-port", "0"]

    def address() -> str:
        wait_for_file(profile / "WebDriverBiDiServer.json", 1)
        told = json.loads((profile / "WebDriverBiDiServer.json").read_text())
        return f"ws://{told['ws_host']}:{told['ws_port']}/session"

    with started(command, profile, address) as wire:
        browser = Firefox(wire)
        yield browser
        browser.quit()

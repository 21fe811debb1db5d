"""Chromium, over the Chrome DevTools Protocol."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, cast

from recordings.browser import Browser, Key, Mouse, Page, Slider, Wire, started, wait_for_file
from recordings.files import Json

HALF_THUMB: Final = 6
"""The thumb's centre cannot reach the ends of the track."""

KEYS: Final = {"ArrowRight": (39, ""), "ArrowLeft": (37, ""), "Space": (32, " ")}
MICE: Final = {
    "move": ("mouseMoved", "none", 0, 0),
    "drag": ("mouseMoved", "left", 1, 1),
    "press": ("mousePressed", "left", 1, 1),
    "release": ("mouseReleased", "left", 0, 1),
}


class ChromiumPage(Page):
    """A tab; its commands are multiplexed over the one connection."""

    def __init__(self, wire: Wire, target: str) -> None:
        self.wire = wire
        self.target = target
        attached = wire.call("Target.attachToTarget", {"targetId": target, "flatten": True})
        self.session = str(attached["sessionId"])

    def call(self, method: str, **params: object) -> Json:
        return self.wire.call(method, params, sessionId=self.session)

    def js(self, expression: str) -> Any:
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def navigate(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def reload(self) -> None:
        self.call("Page.reload")

    def close(self) -> None:
        self.wire.call("Target.closeTarget", {"targetId": self.target})

    def bring_to_front(self) -> None:
        self.wire.call("Target.activateTarget", {"targetId": self.target})
        self.call("Page.bringToFront")

    def mouse(self, kind: Mouse, x: float, y: float) -> None:
        name, button, buttons, clicks = MICE[kind]
        self.call(
            "Input.dispatchMouseEvent",
            type=name,
            x=x,
            y=y,
            button=button,
            buttons=buttons,
            clickCount=clicks,
        )

    def key(self, name: Key) -> None:
        code, text = KEYS[name]
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=text or name,
                code=name,
                windowsVirtualKeyCode=code,
                text=text if kind == "keyDown" else "",
            )

    def control(self, name: str) -> list[float]:
        """The box of a native control, from the element's own shadow tree."""
        document = self.call("DOM.getDocument", depth=-1, pierce=True)
        todo = [document["root"]]
        while todo:
            node = todo.pop()
            if name in node.get("attributes", []):
                with suppress(RuntimeError):  # its copy in the closed menu has no box
                    box = self.call("DOM.getBoxModel", backendNodeId=node["backendNodeId"])
                    return cast(list[float], box["model"]["content"])
            todo += node.get("children", []) + node.get("shadowRoots", [])
        raise LookupError(name)

    def play_button(self) -> tuple[float, float]:
        quad = self.control("-webkit-media-controls-play-button")
        return (quad[0] + quad[2]) / 2, (quad[1] + quad[5]) / 2

    def slider(self) -> Slider:
        quad = self.control("-webkit-media-controls-timeline")
        return Slider(quad[0] + HALF_THUMB, quad[2] - HALF_THUMB, (quad[1] + quad[5]) / 2)


class Chromium(Browser):
    """One connection to a running Chromium."""

    name = "Chromium"

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.version = str(wire.call("Browser.getVersion", {})["product"]).partition("/")[2]

    def new_person(self) -> str:
        made = self.wire.call("Target.createBrowserContext", {"disposeOnDetach": True})
        return str(made["browserContextId"])

    def remove_person(self, person: str) -> None:
        self.wire.call("Target.disposeBrowserContext", {"browserContextId": person})

    def new_page(self, person: str, *, new_window: bool) -> ChromiumPage:
        wanted = {"url": "about:blank", "browserContextId": person, "newWindow": new_window}
        return ChromiumPage(
            self.wire, str(self.wire.call("Target.createTarget", wanted)["targetId"])
        )

    def learn(self, url: str, video: str) -> None:
        """Nothing: a page tells where its controls are."""

    def quit(self) -> None:
        self.wire.call("Browser.close", {})


@contextmanager
def chromium(binary: str) -> Iterator[Chromium]:
    """A headless Chromium with a new profile."""
    profile = Path(tempfile.mkdtemp(prefix="recording-"))
    command = [binary, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic"]
    command += ["--no-first-run", "--disable-background-networking", "--disable-component-update"]
    command += ["--disable-sync", "--autoplay-policy=no-user-gesture-required"]
    command += ["--window-size=900,700", "--remote-debugging-port=0", f"--user-data-dir={profile}"]

    def address() -> str:
        port, path = wait_for_file(profile / "DevToolsActivePort", 2)
        return f"ws://127.0.0.1:{port}{path}"

    with started(command, profile, address) as wire:
        browser = Chromium(wire)
        yield browser
        browser.quit()

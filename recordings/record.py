"""Record real player sessions: drive headless Chromium over a `<video controls>` element.

    pip install websockets
    python record.py                    # all sessions, about 13 minutes
    python record.py --only drag_slow --out FOLDER

Writes sessions.jsonl, truth.jsonl, videos.jsonl and dom_events.jsonl (see README.md).
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlencode, urlsplit

from websockets.sync.client import ClientConnection, connect

HERE = Path(__file__).resolve().parent
Json = dict[str, Any]


@dataclass(frozen=True)
class Clip:
    """A generated test video."""

    video_id: str
    title: str
    seconds: int
    sound: bool


CLIPS = (
    Clip("clip_short", "Short clip with sound", 8, True),
    Clip("clip_medium", "Medium clip with sound", 24, True),
    Clip("clip_long", "Long clip with sound", 60, True),
    Clip("clip_silent", "Silent clip", 40, False),
)
USERS = ("viewer_a", "viewer_b", "viewer_c", "viewer_d", "viewer_e")


def make_clip(clip: Clip, folder: Path) -> None:
    """Encode the clip: 160x90 VP9, a keyframe every second so that seeks land quickly."""
    command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi"]
    command += ["-i", f"testsrc2=size=160x90:rate=25:duration={clip.seconds}"]
    if clip.sound:
        command += ["-f", "lavfi", "-i", f"sine=frequency=300:duration={clip.seconds}"]
        command += ["-c:a", "libopus", "-b:a", "16k"]
    command += ["-c:v", "libvpx-vp9", "-b:v", "60k", "-g", "25"]
    command += ["-deadline", "realtime", "-cpu-used", "8"]
    # The seek index goes to the front: a throttled player would otherwise wait for the file's end.
    command += ["-cues_to_front", "1", str(folder / f"{clip.video_id}.webm")]
    subprocess.run(command, check=True)


# ---------------------------------------------------------------------------------------------
# The server: page, video and the two logs


@dataclass
class Log:
    """Rows in the order in which the server received them."""

    events: list[Json] = field(default_factory=list)
    dom: list[Json] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, path: str, row: Json) -> None:
        with self.lock:
            (self.events if path == "/collect" else self.dom).append(row)

    def drop(self, prefix: str) -> None:
        """Forget the sessions of a scenario that did not work out."""
        with self.lock:
            for rows in (self.events, self.dom):
                rows[:] = [row for row in rows if not row["sessionId"].startswith(prefix)]

    def size(self) -> int:
        with self.lock:
            return len(self.events) + len(self.dom)


def make_handler(media: Path, log: Log) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited name
            """Log nothing."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            log.add(self.path, json.loads(body))
            self.send_response(204)
            self.end_headers()

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if url.path == "/player.html":
                self.send_bytes((HERE / "player.html").read_bytes(), "text/html")
            elif (file := media / Path(url.path).name).suffix == ".webm" and file.exists():
                # The player drops connections it no longer needs; that is no error here.
                with suppress(BrokenPipeError, ConnectionResetError):
                    bps = parse_qs(url.query).get("bps")
                    self.send_range(file.read_bytes(), int(bps[0]) if bps else None)
            else:
                self.send_error(404)

        def send_bytes(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def send_range(self, body: bytes, bps: int | None) -> None:
            """Answer a Range request; without ranges Chromium plays but cannot seek."""
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            first = int(wanted[1]) if wanted else 0
            last = min(int(wanted[2]), len(body) - 1) if wanted and wanted[2] else len(body) - 1
            if first > last:
                self.send_error(416)
                return
            self.send_response(206 if wanted else 200)
            if wanted:
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(body)}")
            self.send_header("Content-Type", "video/webm")
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(last - first + 1))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            chunk = max(1, bps // 10) if bps else 1 << 16
            for at in range(first, last + 1, chunk):
                self.wfile.write(body[at : min(at + chunk, last + 1)])
                if bps:
                    time.sleep(0.1)

    return Handler


@contextmanager
def serve(media: Path, log: Log) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), make_handler(media, log))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


# ---------------------------------------------------------------------------------------------
# The browser, over the Chrome DevTools Protocol


class Browser:
    """One connection to Chromium; every tab is a session multiplexed over it."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.calls = 0
        self.version = str(self.call("Browser.getVersion")["product"])

    def call(self, method: str, session: str | None = None, **params: object) -> Json:
        self.calls += 1
        message: Json = {"id": self.calls, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        self.socket.send(json.dumps(message))
        while True:  # everything else is a notification that nobody waits for
            answer = json.loads(self.socket.recv(timeout=60))
            if answer.get("id") == self.calls:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return cast(Json, answer["result"])


@contextmanager
def chromium(binary: str) -> Iterator[Browser]:
    profile = Path(tempfile.mkdtemp(prefix="recording-"))
    command = [binary, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic"]
    command += ["--no-first-run", "--disable-background-networking", "--disable-component-update"]
    command += ["--disable-sync", "--autoplay-policy=no-user-gesture-required"]
    command += ["--window-size=900,700", "--remote-debugging-port=0", f"--user-data-dir={profile}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port_file = profile / "DevToolsActivePort"
        deadline = time.monotonic() + 60
        while not (port_file.exists() and len(port_file.read_text().split()) == 2):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("Chromium did not start")
            time.sleep(0.05)
        port, path = port_file.read_text().split()
        address = f"ws://127.0.0.1:{port}{path}"
        with connect(address, proxy=None, compression=None, max_size=None) as socket:
            browser = Browser(socket)
            yield browser
            browser.call("Browser.close")
            process.wait(timeout=30)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        shutil.rmtree(profile, ignore_errors=True)


@dataclass
class Box:
    """Where the thumb of the slider can be."""

    left: float
    right: float
    y: float


class Tab:
    """A tab with the player in it, and the hands of the person in front of it."""

    def __init__(self, browser: Browser, context: str, url: str, *, new_window: bool) -> None:
        self.browser = browser
        created = browser.call(
            "Target.createTarget",
            url="about:blank",
            browserContextId=context,
            newWindow=new_window,
        )
        self.target = str(created["targetId"])
        attached = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)
        self.session = str(attached["sessionId"])
        self.open(url)

    def call(self, method: str, **params: object) -> Json:
        return self.browser.call(method, self.session, **params)

    def js(self, expression: str) -> Any:
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, condition: str, seconds: float = 90) -> None:
        """Wait until the page says so; positions, not sleeps, decide when the person acts."""
        deadline = time.monotonic() + seconds
        while True:
            with suppress(RuntimeError):  # between two documents there is no page
                if self.js(condition):
                    return
            if time.monotonic() > deadline:
                raise TimeoutError(condition)
            time.sleep(0.02)

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.until(
            f"location.href === {json.dumps(url)} && typeof truth === 'function'"
            " && video.readyState >= 1"
        )

    def at(self, position: float) -> None:
        """Wait until the video has played up to this position."""
        self.until(f"!video.seeking && video.currentTime >= {position}")

    # Mouse and keyboard

    def mouse(self, kind: str, x: float, y: float, *, held: bool = False) -> None:
        self.call(
            "Input.dispatchMouseEvent",
            type=kind,
            x=x,
            y=y,
            button="left" if held else "none",
            buttons=1 if held and kind != "mouseReleased" else 0,
            clickCount=1 if held else 0,
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

    def show_controls(self) -> None:
        """Controls hide while playing; a mouse over the picture brings them back."""
        self.mouse("mouseMoved", 300, 150)
        self.mouse("mouseMoved", 310, 160)

    def slider(self) -> Box:
        self.show_controls()
        quad = self.control("-webkit-media-controls-timeline")
        half_thumb = 6  # the thumb's centre cannot reach the ends of the track
        return Box(quad[0] + half_thumb, quad[2] - half_thumb, (quad[1] + quad[5]) / 2)

    def play_button(self) -> None:
        """Click the play/pause button."""
        self.show_controls()
        quad = self.control("-webkit-media-controls-play-button")
        x, y = (quad[0] + quad[2]) / 2, (quad[1] + quad[5]) / 2
        self.mouse("mouseMoved", x, y)
        self.mouse("mousePressed", x, y, held=True)
        self.mouse("mouseReleased", x, y, held=True)

    def play(self) -> None:
        self.play_button()
        self.until("!video.paused")

    def pause(self) -> None:
        self.play_button()
        self.until("video.paused")

    def point(self, box: Box, position: float) -> float:
        share = position / float(self.js("video.duration"))
        return box.left + (box.right - box.left) * min(1.0, max(0.0, share))

    def click_slider(self, position: float) -> None:
        """Press and let go at another place of the slider, as a quick click does (80 ms)."""
        box = self.slider()
        x = self.point(box, position)
        self.mouse("mouseMoved", x, box.y)
        self.mouse("mousePressed", x, box.y, held=True)
        time.sleep(0.08)
        self.mouse("mouseReleased", x, box.y, held=True)

    def drag(self, *stops: float, seconds: float = 0.6, steps: int = 12) -> None:
        """Take the thumb where it is, pull it to each stop in turn, and let go at the last."""
        box = self.slider()
        here = self.point(box, float(self.js("video.currentTime")))
        self.mouse("mouseMoved", here, box.y)
        self.mouse("mousePressed", here, box.y, held=True)
        places = [here, *(self.point(box, stop) for stop in stops)]
        for a, b in pairwise(places):
            for step in range(1, steps + 1):
                time.sleep(seconds / steps)
                self.mouse("mouseMoved", a + (b - a) * step / steps, box.y, held=True)
        self.mouse("mouseReleased", places[-1], box.y, held=True)

    def key(self, name: str, code: int, text: str = "") -> None:
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=text or name,
                code=name,
                windowsVirtualKeyCode=code,
                text=text if kind == "keyDown" else "",
            )

    def right(self) -> None:
        self.key("ArrowRight", 39)

    def left(self) -> None:
        self.key("ArrowLeft", 37)

    def space(self) -> None:
        self.key("Space", 32, " ")

    # What a page's own buttons do

    def jump(self, position: float) -> None:
        self.js(f"video.currentTime = {position}")

    def skip(self, seconds: float) -> None:
        self.js(f"video.currentTime += {seconds}")

    def speed(self, rate: float) -> None:
        self.js(f"video.playbackRate = {rate}")


# ---------------------------------------------------------------------------------------------
# Scenarios


class Stage:
    """The tabs of a scenario, and the record of what was really played."""

    def __init__(
        self, browser: Browser, base: str, log: Log, scenario: Scenario, user: str, prefix: str
    ) -> None:
        self.browser = browser
        self.base = base
        self.log = log
        self.scenario = scenario
        self.user = user
        self.prefix = prefix
        self.truth: list[Json] = []
        self.loads: dict[str, int] = {}
        context = browser.call("Target.createBrowserContext", disposeOnDetach=True)
        self.context = str(context["browserContextId"])
        self.open_tabs: list[tuple[Tab, str]] = []

    def url(self, session: str, video: str | None = None) -> str:
        query = {"user": self.user, "session": session, "video": video or self.scenario.video}
        query |= self.scenario.page
        return f"{self.base}/player.html?{urlencode(query)}"

    def tab(self, suffix: str = "", *, new_window: bool = True) -> Tab:
        session = self.prefix + suffix
        tab = Tab(self.browser, self.context, self.url(session), new_window=new_window)
        self.open_tabs.append((tab, session))
        return tab

    def session_of(self, tab: Tab) -> str:
        return next(session for known, session in self.open_tabs if known is tab)

    def read_truth(self, tab: Tab) -> None:
        """Call it just before a page goes away: the next page starts from zero."""
        session = self.session_of(tab)
        self.loads[session] = self.loads.get(session, 0) + 1
        for row in tab.js("truth()"):
            head = {
                "userId": self.user,
                "sessionId": session,
                "videoId": row.pop("videoId"),
                "page_load": self.loads[session],
                "scenario": self.scenario.name,
                "description": self.scenario.description,
            }
            settings = {
                "seek_event": self.scenario.page.get("seek", "seeked"),
                "heartbeat_seconds": float(self.scenario.page.get("heartbeat", 0)),
                "chromium": self.browser.version,
            }
            self.truth.append(head | row | settings)

    def reload(self, tab: Tab) -> None:
        self.read_truth(tab)
        tab.js("window.old = true")
        tab.call("Page.reload")
        tab.until("!window.old && typeof truth === 'function' && video.readyState >= 1")

    def go(self, tab: Tab, video: str) -> None:
        self.read_truth(tab)
        tab.open(self.url(self.session_of(tab), video))

    def close(self, tab: Tab) -> None:
        self.read_truth(tab)
        self.browser.call("Target.closeTarget", targetId=tab.target)
        self.open_tabs = [entry for entry in self.open_tabs if entry[0] is not tab]

    def finish(self) -> None:
        # A last pause is an event like any other: a tab closed in the same instant swallows it.
        time.sleep(0.8)
        for tab, _ in list(self.open_tabs):
            self.close(tab)
        # Requests that outlive their page may still be on the way.
        known = -1
        while known != (known := self.log.size()):
            time.sleep(0.4)
        self.browser.call("Target.disposeBrowserContext", browserContextId=self.context)


@dataclass(frozen=True)
class Scenario:
    name: str
    description: str
    video: str
    page: dict[str, str]
    act: Callable[[Stage], None]


SCENARIOS: list[Scenario] = []


def scenario(
    description: str, video: str = "clip_long", **page: str
) -> Callable[[Callable[[Stage], None]], Callable[[Stage], None]]:
    def register(act: Callable[[Stage], None]) -> Callable[[Stage], None]:
        name = getattr(act, "__name__", "")
        SCENARIOS.append(Scenario(name, description, video, page, act))
        return act

    return register


def quiet_pause(seconds: float) -> None:
    """The person does nothing for a while."""
    time.sleep(seconds)


@scenario("Watched a clip from start to end.", "clip_medium")
def straight_to_end(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.until("video.ended")


@scenario("Watched a clip from start to end, with heartbeats.", "clip_medium", heartbeat="10")
def straight_to_end_heartbeats(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.until("video.ended")


@scenario("Paused at 6 s for three seconds, went on and paused at 12 s.")
def pause_resume(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.at(6)
    tab.pause()
    quiet_pause(3)
    tab.play()
    tab.at(12)
    tab.pause()


@scenario("Paused three times within a few seconds, twice only for a moment.", "clip_silent")
def short_pauses(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    for position, rest in ((3.0, 0.1), (4.0, 0.1), (7.0, 1.5)):
        tab.at(position)
        tab.pause()
        quiet_pause(rest)
        tab.play()
    tab.at(10)
    tab.pause()


@scenario("Dragged the slider from 5 s to 30 s while playing and watched on to 35 s.")
def drag_forward_playing(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.at(5)
    tab.drag(30)
    tab.at(35)
    tab.pause()


@scenario("Dragged the slider from 12 s back to 3 s while playing and watched on to 8 s.")
def drag_back_playing(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.at(12)
    tab.drag(3)
    tab.until("!video.seeking && video.currentTime < 11")
    tab.at(8)
    tab.pause()


@scenario("Held the slider for seconds, wandering from 5 s to 40 s and back to 20 s.")
def drag_slow(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.at(5)
    tab.drag(40, 20, seconds=1.5, steps=20)
    tab.at(25)
    tab.pause()


@scenario("Flicked the slider from 5 s to 30 s in a tenth of a second.")
def drag_flick(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.at(5)
    tab.drag(30, seconds=0.1, steps=2)
    tab.at(34)
    tab.pause()


@scenario("Took the slider at 6 s, wandered to 30 s and put it back where it was.")
def drag_and_return(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.at(6)
    tab.drag(30, 6, seconds=0.5)
    tab.until("!video.seeking && !video.paused && video.currentTime < 10")
    tab.at(11)
    tab.pause()


@scenario("Dragged forward from 5 s to 30 s; the page reports seeking, not seeked.", seek="seeking")
def drag_forward_seeking(stage: Stage) -> None:
    drag_forward_playing(stage)


@scenario("Dragged back from 12 s to 3 s; the page reports seeking, not seeked.", seek="seeking")
def drag_back_seeking(stage: Stage) -> None:
    drag_back_playing(stage)


@scenario("Paused at 5 s, dragged the slider to 25 s while paused, and went on to 30 s.")
def drag_while_paused(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.at(5)
    tab.pause()
    tab.drag(25)
    quiet_pause(1)
    tab.play()
    tab.at(30)
    tab.pause()


@scenario("Dragged the slider to the very end while playing.", "clip_medium")
def drag_to_end(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.at(6)
    tab.drag(24)
    tab.until("video.ended")
    quiet_pause(1)


@scenario("Dragged from 6 s to 30 s while playing at double speed.")
def drag_at_double_speed(stage: Stage) -> None:
    tab = stage.tab()
    tab.speed(2)
    tab.play()
    tab.at(6)
    tab.drag(30)
    tab.at(38)
    tab.pause()


@scenario("Clicked on the slider at 30 s while playing at 5 s.")
def click_forward(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.at(5)
    tab.click_slider(30)
    tab.at(34)
    tab.pause()


@scenario("Clicked on the slider at 3 s while playing at 12 s.")
def click_back(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.at(12)
    tab.click_slider(3)
    tab.until("!video.seeking && video.currentTime < 11")
    tab.at(8)
    tab.pause()


@scenario("Clicked ahead from 5 s to 30 s; the page reports seeking, not seeked.", seek="seeking")
def click_forward_seeking(stage: Stage) -> None:
    click_forward(stage)


@scenario("Clicked ahead five times in a few seconds, looking for a place.")
def quick_seeks(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.at(4)
    for position in (12, 20, 28, 36, 44):
        tab.click_slider(position)
        quiet_pause(0.4)
    tab.at(48)
    tab.pause()


@scenario("Used a page's own skip buttons: +10, +10, -5 s, then 2 s steps.")
def script_seeks(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.at(4)
    for step in (10, 10, -5, 2, 2, -2):
        tab.skip(step)
        quiet_pause(1.2)
    tab.pause()


@scenario(
    "Used skip buttons; the page reports seeking and sends heartbeats.",
    seek="seeking",
    heartbeat="10",
)
def script_seeks_heartbeats(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.at(4)
    tab.skip(10)
    quiet_pause(8)
    tab.skip(-10)
    quiet_pause(8)
    tab.pause()


@scenario("Paused at 5 s, was taken to 20 s and to 10 s by links in the page, and went on.")
def script_seeks_paused(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.at(5)
    tab.pause()
    for position in (20, 10):
        tab.jump(position)
        quiet_pause(0.8)
    tab.play()
    tab.at(14)
    tab.pause()


@scenario("Sought ahead to 15 s before the first play.", "clip_silent")
def seek_before_play(stage: Stage) -> None:
    tab = stage.tab()
    tab.click_slider(15)
    quiet_pause(1)
    tab.play()
    tab.at(20)
    tab.pause()


@scenario("Pressed the right arrow key three times and the left one once; space pauses.")
def keyboard_seeks(stage: Stage) -> None:
    tab = stage.tab()
    tab.js("video.focus()")
    tab.space()
    tab.at(4)
    for press in (tab.right, tab.right, tab.right, tab.left):
        press()
        quiet_pause(1)
    tab.space()
    tab.until("video.paused")


@scenario("Watched to 15 s at 1.5x.")
def speed_1_5x(stage: Stage) -> None:
    tab = stage.tab()
    tab.speed(1.5)
    tab.play()
    tab.at(15)
    tab.pause()


@scenario("Watched a clip to its end at 2x.", "clip_medium")
def speed_2x(stage: Stage) -> None:
    tab = stage.tab()
    tab.speed(2)
    tab.play()
    tab.until("video.ended")


@scenario("Watched to 5 s at 0.5x.", "clip_silent")
def speed_half(stage: Stage) -> None:
    tab = stage.tab()
    tab.speed(0.5)
    tab.play()
    tab.at(5)
    tab.pause()


@scenario("Played at 1x to 6 s, at 2x to 20 s and at 1x to 24 s without stopping.")
def speed_change(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.at(6)
    tab.speed(2)
    tab.at(20)
    tab.speed(1)
    tab.at(24)
    tab.pause()


@scenario(
    "Played at 1x to 4 s, at 1.5x to 14 s and at 0.5x to 16 s, with heartbeats.", heartbeat="10"
)
def speed_change_heartbeats(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.at(4)
    tab.speed(1.5)
    tab.at(14)
    tab.speed(0.5)
    tab.at(16)
    tab.pause()


@scenario("Paused, chose 2x while paused, and went on.", "clip_silent")
def speed_change_paused(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.at(5)
    tab.pause()
    tab.speed(2)
    quiet_pause(1)
    tab.play()
    tab.at(17)
    tab.pause()


@scenario("Let a looping clip run two and a half times.", "clip_short", loop="1")
def loop(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    for _ in range(2):
        tab.at(6)
        tab.until("video.currentTime < 4")
    tab.at(4)
    tab.pause()


@scenario(
    "Let a looping clip run and closed the tab; with heartbeats.",
    "clip_short",
    loop="1",
    heartbeat="10",
)
def loop_closed_heartbeats(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    for _ in range(2):
        tab.at(6)
        tab.until("video.currentTime < 4")
    tab.at(6)
    stage.close(tab)


@scenario("Reloaded the page while playing at 8 s and watched again to 5 s.")
def reload_while_playing(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.at(8)
    stage.reload(tab)
    tab.play()
    tab.at(5)
    tab.pause()


@scenario("Closed the tab while playing at 9 s.")
def close_while_playing(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.at(9)
    stage.close(tab)


@scenario("Closed the tab while playing at 16 s, with heartbeats.", heartbeat="10")
def close_while_playing_heartbeats(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.at(16)
    stage.close(tab)


@scenario("Played the same video in two windows at the same time, the second from 20 s.")
def two_tabs(stage: Stage) -> None:
    first = stage.tab("_1")
    second = stage.tab("_2")
    first.play()
    first.at(3)
    second.jump(20)
    second.play()
    second.at(25)
    first.pause()
    second.at(28)
    second.pause()


@scenario("Watched to the end and pressed play again to 4 s.", "clip_short")
def replay_after_end(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.until("video.ended")
    quiet_pause(2)
    tab.play()
    tab.until("video.currentTime < 3")
    tab.at(4)
    tab.pause()


@scenario("Watched to the end, dragged the slider back to 3 s and played on.", "clip_short")
def drag_back_after_end(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.until("video.ended")
    quiet_pause(1)
    tab.drag(3)
    quiet_pause(1)
    if tab.js("video.paused"):
        tab.play()
    tab.at(6)
    tab.pause()


def visit_other_tab(stage: Stage) -> None:
    """Play to 4 s, look at another tab for 14 s, come back for two seconds and pause."""
    tab = stage.tab()
    tab.play()
    tab.at(4)
    browser = stage.browser
    other = browser.call("Target.createTarget", url="about:blank", browserContextId=stage.context)
    browser.call("Target.activateTarget", targetId=other["targetId"])
    quiet_pause(14)  # by the clock: whether it goes on playing is the question
    browser.call("Target.closeTarget", targetId=other["targetId"])
    tab.call("Page.bringToFront")
    quiet_pause(2)
    tab.js("video.pause()")


@scenario(
    "Played a muted clip and put another tab in front of it for 14 s; with heartbeats.",
    "clip_medium",
    muted="1",
    heartbeat="10",
)
def muted_background(stage: Stage) -> None:
    visit_other_tab(stage)


@scenario(
    "Listened to a clip behind another tab for 14 s; with heartbeats.",
    "clip_medium",
    heartbeat="10",
)
def sound_background(stage: Stage) -> None:
    visit_other_tab(stage)


@scenario(
    "A muted clip began by itself and was paused at 6 s.", "clip_silent", muted="1", autoplay="1"
)
def autoplay_muted(stage: Stage) -> None:
    tab = stage.tab()
    tab.at(6)
    tab.pause()


@scenario(
    "Watched over a slow line: the player stopped to buffer; with heartbeats.",
    heartbeat="10",
    bps="9000",
)
def buffering_heartbeats(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.at(20)
    tab.pause()


@scenario("Dragged ahead over a slow line, where the seek takes long to finish.", bps="9000")
def drag_slow_line(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.at(5)
    tab.drag(30)
    tab.until("!video.seeking && video.currentTime >= 33")
    tab.pause()


@scenario("Watched one video to 6 s, followed a link to another and watched it to 5 s.")
def two_videos_by_link(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.at(6)
    stage.go(tab, "clip_medium")
    tab.play()
    tab.at(5)
    tab.pause()


@scenario("Chose another video in a playlist at 6 s: the page swapped the source.")
def two_videos_in_place(stage: Stage) -> None:
    tab = stage.tab()
    tab.play()
    tab.at(6)
    tab.js("choose('clip_silent')")
    tab.until("video.readyState >= 2")
    if tab.js("video.paused"):
        tab.play()
    tab.at(5)
    tab.pause()


# ---------------------------------------------------------------------------------------------


def write_rows(path: Path, rows: list[Json]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def dom_rows(log: Log) -> list[Json]:
    """DOM events by session, in the order in which the page saw them."""
    order = {row["sessionId"]: i for i, row in reversed(list(enumerate(log.dom)))}
    return sorted(log.dom, key=lambda r: (order[r["sessionId"]], r["loadedAt"], r["n"]))


def main() -> int:
    parser = argparse.ArgumentParser(description="Record player sessions in headless Chromium.")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser to drive")
    parser.add_argument("--only", nargs="*", default=[], help="names of scenarios")
    args = parser.parse_args()

    chosen = [s for s in SCENARIOS if not args.only or s.name in args.only]
    log = Log()
    truth: list[Json] = []
    failures = 0
    with tempfile.TemporaryDirectory(prefix="recording-") as folder:
        media = Path(folder)
        for clip in CLIPS:
            make_clip(clip, media)
        with serve(media, log) as base, chromium(args.chromium) as browser:
            for number, item in enumerate(SCENARIOS):
                if item not in chosen:
                    continue
                began = time.monotonic()
                user = USERS[number % len(USERS)]
                stage = Stage(browser, base, log, item, user, f"s{number + 1:02d}_{item.name}")
                outcome = ""
                try:
                    item.act(stage)
                except (TimeoutError, RuntimeError, LookupError) as error:
                    outcome = f"left out: {error}"
                    failures += 1
                stage.finish()
                if outcome:
                    log.drop(stage.prefix)
                else:
                    truth += stage.truth
                print(f"{item.name:32} {time.monotonic() - began:6.1f} s {outcome}", flush=True)

    args.out.mkdir(parents=True, exist_ok=True)
    durations = {row["videoId"]: row["duration"] for row in truth}
    videos: list[Json] = [
        {"videoId": c.video_id, "duration": durations[c.video_id], "title": c.title}
        for c in CLIPS
        if c.video_id in durations
    ]
    write_rows(args.out / "sessions.jsonl", log.events)
    write_rows(args.out / "truth.jsonl", truth)
    write_rows(args.out / "videos.jsonl", videos)
    write_rows(args.out / "dom_events.jsonl", dom_rows(log))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

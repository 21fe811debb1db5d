"""What the recorder needs of a browser: tabs with real pointer and key input."""

import json
import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from websockets.sync.client import ClientConnection, connect

from recordings.files import Json

Mouse = Literal["move", "drag", "press", "release"]
"""`drag` is a move with the button held."""

Key = Literal["ArrowRight", "ArrowLeft", "Space"]


@dataclass(frozen=True)
class Slider:
    """Where the thumb of the slider is at the beginning and the end of the video, in pixels."""

    left: float
    right: float
    y: float


class Wire:
    """Commands and answers over a websocket; both protocols number them the same way."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.calls = 0

    def call(self, method: str, params: Json, **more: str) -> Json:
        """The result of a command. Raises `RuntimeError` if the browser refuses it."""
        self.calls += 1
        message = {"id": self.calls, "method": method, "params": params} | more
        self.socket.send(json.dumps(message))
        while True:  # everything else is a notification that nobody waits for
            answer = json.loads(self.socket.recv(timeout=60))
            if answer.get("id") == self.calls:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']} {answer.get('message', '')}")
                return cast(Json, answer["result"])


class Page(ABC):
    """A tab, as a protocol drives it."""

    @abstractmethod
    def js(self, expression: str) -> Any:
        """The value of an expression, evaluated as if by a gesture of the user."""

    @abstractmethod
    def navigate(self, url: str) -> None: ...

    @abstractmethod
    def reload(self) -> None: ...

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def bring_to_front(self) -> None: ...

    @abstractmethod
    def mouse(self, kind: Mouse, x: float, y: float) -> None: ...

    @abstractmethod
    def key(self, name: Key) -> None: ...

    @abstractmethod
    def play_button(self) -> tuple[float, float]:
        """The middle of the play button."""

    @abstractmethod
    def slider(self) -> Slider: ...

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
        """Show the player at `url`, and wait until it knows its video."""
        self.navigate(url)
        self.until(
            f"location.href === {json.dumps(url)} && typeof truth === 'function'"
            " && video.readyState >= 1"
        )

    def wake_controls(self) -> None:
        """Controls hide while playing; a mouse over the picture brings them back."""
        self.mouse("move", 300, 150)
        self.mouse("move", 310, 160)


class Browser(ABC):
    """A running browser.

    Attributes:
        name: Its name in the data.
        version: What it says of itself.
    """

    name: str
    version: str

    @abstractmethod
    def new_person(self) -> str:
        """A profile of its own; its name."""

    @abstractmethod
    def remove_person(self, person: str) -> None: ...

    @abstractmethod
    def new_page(self, person: str, *, new_window: bool) -> Page: ...

    @abstractmethod
    def learn(self, url: str, video: str) -> None:
        """Look where the controls of a video are, on a page that is not recorded."""

    @abstractmethod
    def quit(self) -> None: ...


@contextmanager
def started(command: Sequence[str], profile: Path, address: Callable[[], str]) -> Iterator[Wire]:
    """Start a browser and connect to it; at the end it is gone, and so is its profile.

    `address` waits until the browser says where it listens.
    """
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with connect(address(), proxy=None, compression=None, max_size=None) as socket:
            yield Wire(socket)
            process.wait(timeout=30)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        shutil.rmtree(profile, ignore_errors=True)


def wait_for_file(path: Path, words: int, seconds: float = 60) -> list[str]:
    """The words of a file that a starting browser writes."""
    deadline = time.monotonic() + seconds
    while not (path.exists() and len(path.read_text().split()) >= words):
        if time.monotonic() > deadline:
            raise RuntimeError("the browser did not start")
        time.sleep(0.05)
    return path.read_text().split()

"""The scenarios: what the persons do."""

import time
from collections.abc import Callable

from recordings.person import Person, Scenario

SCENARIOS: list[Scenario] = []


def scenario(
    description: str, video: str = "clip_long", seek: str = "seeked", **page: str
) -> Callable[[Callable[[Person], None]], Callable[[Person], None]]:
    def register(act: Callable[[Person], None]) -> Callable[[Person], None]:
        name = getattr(act, "__name__", "")
        SCENARIOS.append(Scenario(name, description, video, seek, page, act))
        return act

    return register


def quiet_pause(seconds: float) -> None:
    """The person does nothing for a while."""
    time.sleep(seconds)


@scenario("Watched a clip from start to end.", "clip_medium")
def straight_to_end(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.until("video.ended")


@scenario("Watched a clip from start to end, with heartbeats.", "clip_medium", heartbeat="10")
def straight_to_end_heartbeats(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.until("video.ended")


@scenario("Paused at 6 s for three seconds, went on and paused at 12 s.")
def pause_resume(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.at(6)
    tab.pause()
    quiet_pause(3)
    tab.play()
    tab.at(12)
    tab.pause()


@scenario("Paused three times within a few seconds, twice only for a moment.", "clip_silent")
def short_pauses(person: Person) -> None:
    tab = person.tab()
    tab.play()
    for position, rest in ((3.0, 0.1), (4.0, 0.1), (7.0, 1.5)):
        tab.at(position)
        tab.pause()
        quiet_pause(rest)
        tab.play()
    tab.at(10)
    tab.pause()


@scenario("Dragged the slider from 5 s to 30 s while playing and watched on to 35 s.")
def drag_forward_playing(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.at(5)
    tab.drag(30)
    tab.at(35)
    tab.pause()


@scenario("Dragged the slider from 12 s back to 3 s while playing and watched on to 8 s.")
def drag_back_playing(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.at(12)
    tab.drag(3)
    tab.until("!video.seeking && video.currentTime < 11")
    tab.at(8)
    tab.pause()


@scenario("Held the slider for seconds, wandering from 5 s to 40 s and back to 20 s.")
def drag_slow(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.at(5)
    tab.drag(40, 20, seconds=1.5, steps=20)
    tab.at(25)
    tab.pause()


@scenario("Flicked the slider from 5 s to 30 s in a tenth of a second.")
def drag_flick(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.at(5)
    tab.drag(30, seconds=0.1, steps=2)
    tab.at(34)
    tab.pause()


@scenario("Took the slider at 6 s, wandered to 30 s and put it back where it was.")
def drag_and_return(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.at(6)
    tab.drag(30, 6, seconds=0.5)
    tab.until("!video.seeking && !video.paused && video.currentTime < 10")
    tab.at(11)
    tab.pause()


@scenario("Dragged forward from 5 s to 30 s; the page reports seeking, not seeked.", seek="seeking")
def drag_forward_seeking(person: Person) -> None:
    drag_forward_playing(person)


@scenario("Dragged back from 12 s to 3 s; the page reports seeking, not seeked.", seek="seeking")
def drag_back_seeking(person: Person) -> None:
    drag_back_playing(person)


@scenario("Paused at 5 s, dragged the slider to 25 s while paused, and went on to 30 s.")
def drag_while_paused(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.at(5)
    tab.pause()
    tab.drag(25)
    quiet_pause(1)
    tab.play()
    tab.at(30)
    tab.pause()


@scenario("Dragged the slider to the very end while playing.", "clip_medium")
def drag_to_end(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.at(6)
    tab.drag(24)
    tab.until("video.ended")
    quiet_pause(1)


@scenario("Dragged from 6 s to 30 s while playing at double speed.")
def drag_at_double_speed(person: Person) -> None:
    tab = person.tab()
    tab.speed(2)
    tab.play()
    tab.at(6)
    tab.drag(30)
    tab.at(38)
    tab.pause()


@scenario("Clicked on the slider at 30 s while playing at 5 s.")
def click_forward(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.at(5)
    tab.click_slider(30)
    tab.at(34)
    tab.pause()


@scenario("Clicked on the slider at 3 s while playing at 12 s.")
def click_back(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.at(12)
    tab.click_slider(3)
    tab.until("!video.seeking && video.currentTime < 11")
    tab.at(8)
    tab.pause()


@scenario("Clicked ahead from 5 s to 30 s; the page reports seeking, not seeked.", seek="seeking")
def click_forward_seeking(person: Person) -> None:
    click_forward(person)


@scenario("Clicked ahead five times in a few seconds, looking for a place.")
def quick_seeks(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.at(4)
    for position in (12, 20, 28, 36, 44):
        tab.click_slider(position)
        quiet_pause(0.4)
    tab.at(48)
    tab.pause()


@scenario("Used a page's own skip buttons: +10, +10, -5 s, then 2 s steps.")
def script_seeks(person: Person) -> None:
    tab = person.tab()
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
def script_seeks_heartbeats(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.at(4)
    tab.skip(10)
    quiet_pause(8)
    tab.skip(-10)
    quiet_pause(8)
    tab.pause()


@scenario("Paused at 5 s, was taken to 20 s and to 10 s by links in the page, and went on.")
def script_seeks_paused(person: Person) -> None:
    tab = person.tab()
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
def seek_before_play(person: Person) -> None:
    tab = person.tab()
    tab.click_slider(15)
    quiet_pause(1)
    tab.play()
    tab.at(20)
    tab.pause()


@scenario("Pressed the right arrow key three times and the left one once; space pauses.")
def keyboard_seeks(person: Person) -> None:
    tab = person.tab()
    tab.focus()
    tab.space()
    tab.at(4)
    for press in (tab.right, tab.right, tab.right, tab.left):
        press()
        quiet_pause(1)
    tab.space()
    tab.until("video.paused")


@scenario("Watched to 15 s at 1.5x.")
def speed_1_5x(person: Person) -> None:
    tab = person.tab()
    tab.speed(1.5)
    tab.play()
    tab.at(15)
    tab.pause()


@scenario("Watched a clip to its end at 2x.", "clip_medium")
def speed_2x(person: Person) -> None:
    tab = person.tab()
    tab.speed(2)
    tab.play()
    tab.until("video.ended")


@scenario("Watched to 5 s at 0.5x.", "clip_silent")
def speed_half(person: Person) -> None:
    tab = person.tab()
    tab.speed(0.5)
    tab.play()
    tab.at(5)
    tab.pause()


@scenario("Played at 1x to 6 s, at 2x to 20 s and at 1x to 24 s without stopping.")
def speed_change(person: Person) -> None:
    tab = person.tab()
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
def speed_change_heartbeats(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.at(4)
    tab.speed(1.5)
    tab.at(14)
    tab.speed(0.5)
    tab.at(16)
    tab.pause()


@scenario("Paused, chose 2x while paused, and went on.", "clip_silent")
def speed_change_paused(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.at(5)
    tab.pause()
    tab.speed(2)
    quiet_pause(1)
    tab.play()
    tab.at(17)
    tab.pause()


@scenario("Let a looping clip run two and a half times.", "clip_short", loop="1")
def loop(person: Person) -> None:
    tab = person.tab()
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
def loop_closed_heartbeats(person: Person) -> None:
    tab = person.tab()
    tab.play()
    for _ in range(2):
        tab.at(6)
        tab.until("video.currentTime < 4")
    tab.at(6)
    person.close(tab)


@scenario("Reloaded the page while playing at 8 s and watched again to 5 s.")
def reload_while_playing(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.at(8)
    person.reload(tab)
    tab.play()
    tab.at(5)
    tab.pause()


@scenario("Closed the tab while playing at 9 s.")
def close_while_playing(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.at(9)
    person.close(tab)


@scenario("Closed the tab while playing at 16 s, with heartbeats.", heartbeat="10")
def close_while_playing_heartbeats(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.at(16)
    person.close(tab)


@scenario("Played the same video in two windows at the same time, the second from 20 s.")
def two_tabs(person: Person) -> None:
    first = person.tab("_1")
    second = person.tab("_2")
    first.play()
    first.at(3)
    second.jump(20)
    second.play()
    second.at(25)
    first.pause()
    second.at(28)
    second.pause()


@scenario("Watched to the end and pressed play again to 4 s.", "clip_short")
def replay_after_end(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.until("video.ended")
    quiet_pause(2)
    tab.play()
    tab.until("video.currentTime < 3")
    tab.at(4)
    tab.pause()


@scenario("Watched to the end, dragged the slider back to 3 s and played on.", "clip_short")
def drag_back_after_end(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.until("video.ended")
    quiet_pause(1)
    tab.drag(3)
    quiet_pause(1)
    if tab.is_paused():
        tab.play()
    tab.at(6)
    tab.pause()


def visit_other_tab(person: Person) -> None:
    """Play to 4 s, look at another tab for 14 s, come back for two seconds and pause."""
    tab = person.tab()
    tab.play()
    tab.at(4)
    person.look_away(tab, 14)
    quiet_pause(2)
    tab.stop()


@scenario(
    "Played a muted clip and put another tab in front of it for 14 s; with heartbeats.",
    "clip_medium",
    muted="1",
    heartbeat="10",
)
def muted_background(person: Person) -> None:
    visit_other_tab(person)


@scenario(
    "Listened to a clip behind another tab for 14 s; with heartbeats.",
    "clip_medium",
    heartbeat="10",
)
def sound_background(person: Person) -> None:
    visit_other_tab(person)


@scenario(
    "A muted clip began by itself and was paused at 6 s.", "clip_silent", muted="1", autoplay="1"
)
def autoplay_muted(person: Person) -> None:
    tab = person.tab()
    tab.at(6)
    tab.pause()


@scenario(
    "Watched over a slow line: the player stopped to buffer; with heartbeats.",
    heartbeat="10",
    bps="9000",
)
def buffering_heartbeats(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.at(20)
    tab.pause()


@scenario("Dragged ahead over a slow line, where the seek takes long to finish.", bps="9000")
def drag_slow_line(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.at(5)
    tab.drag(30)
    tab.until("!video.seeking && video.currentTime >= 33")
    tab.pause()


@scenario("Watched one video to 6 s, followed a link to another and watched it to 5 s.")
def two_videos_by_link(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.at(6)
    person.go(tab, "clip_medium")
    tab.play()
    tab.at(5)
    tab.pause()


@scenario("Chose another video in a playlist at 6 s: the page swapped the source.")
def two_videos_in_place(person: Person) -> None:
    tab = person.tab()
    tab.play()
    tab.at(6)
    tab.choose("clip_silent")
    if tab.is_paused():
        tab.play()
    tab.at(5)
    tab.pause()

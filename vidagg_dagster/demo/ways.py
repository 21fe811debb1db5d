"""Ways of watching a video: one function for each thing that viewers do."""

from collections.abc import Callable

from vidagg_dagster.demo.clock import HOUR_MS, MINUTE_MS, SECOND_MS
from vidagg_dagster.demo.player import Player


def _share(player: Player, low: float, high: float) -> int:
    """A random share of the rest of the video, in milliseconds."""
    return round(player.left_ms * player.rng.uniform(low, high))


def watch_through(player: Player) -> None:
    """Play to the end without a click."""
    player.play()
    player.finish()


def watch_with_pauses(player: Player) -> None:
    """Play, pause and resume. Most stay to the end."""
    player.play()
    for _ in range(player.rng.randint(1, 4)):
        player.watch(_share(player, 0.1, 0.4))
        player.pause()
        player.wait(player.rng.randrange(2 * SECOND_MS, 10 * MINUTE_MS))
        player.play()
    if player.rng.random() < 0.7:
        player.finish()
    else:
        player.watch(_share(player, 0.2, 0.8))
        player.pause()


def close_the_tab(player: Player) -> None:
    """Play and close the browser. Only heartbeats follow the start, if the player sends any."""
    player.play()
    player.watch(_share(player, 0.1, 0.9))


def give_up(player: Player) -> None:
    """Watch a few seconds and leave."""
    player.play()
    player.watch(player.rng.randrange(500, 12 * SECOND_MS))
    player.pause()


def skip_ahead(player: Player) -> None:
    """Seek forward while playing. The player reports the destination."""
    player.play()
    for _ in range(player.rng.randint(1, 3)):
        player.watch(_share(player, 0.05, 0.2))
        player.seek(player.position_ms + _share(player, 0.1, 0.3))
    player.finish()


def skip_back(player: Player) -> None:
    """Seek back while playing."""
    player.play()
    player.watch(_share(player, 0.3, 0.6))
    player.seek(player.position_ms - round(player.position_ms * player.rng.uniform(0.2, 0.6)))
    player.watch(_share(player, 0.3, 0.9))
    player.pause()


def skip_while_paused(player: Player) -> None:
    """Pause, jump without a seek event, resume somewhere else."""
    player.play()
    player.watch(_share(player, 0.1, 0.4))
    player.pause()
    back = player.rng.random() < 0.5
    distance = player.rng.randrange(3 * SECOND_MS, 40 * SECOND_MS)
    player.jump(player.position_ms - distance if back else player.position_ms + distance)
    player.play()
    player.watch(_share(player, 0.3, 0.9))
    player.pause()


def drag_the_slider(player: Player) -> None:
    """Drag the slider while playing: once forward, and sometimes once back."""
    player.play()
    player.watch(_share(player, 0.1, 0.3))
    player.drag(player.position_ms + _share(player, 0.2, 0.5))
    player.watch(_share(player, 0.2, 0.6))
    if player.rng.random() < 0.4:
        player.drag(round(player.position_ms * player.rng.uniform(0.1, 0.7)))
        player.watch(_share(player, 0.1, 0.3))
    player.pause()


def jump_unreported(player: Player) -> None:
    """Jump while playing. The player only reports another start, at the destination."""
    player.play()
    player.watch(_share(player, 0.1, 0.3))
    player.jump(player.position_ms + _share(player, 0.2, 0.5))
    player.play()
    player.watch(_share(player, 0.2, 0.6))
    player.pause()


def lose_a_stop(player: Player) -> None:
    """The network drops a pause: two starts follow each other, with plausible positions."""
    player.play()
    player.watch(_share(player, 0.2, 0.6))
    player.wait(player.rng.randrange(100, 900))
    player.play()
    player.watch(_share(player, 0.2, 0.8))
    player.pause()


def watch_again(player: Player) -> None:
    """Watch to the end, and again from the start."""
    player.play()
    player.finish()
    player.wait(player.rng.randrange(2 * SECOND_MS, 5 * MINUTE_MS))
    player.start_over()
    if player.rng.random() < 0.5:
        player.finish()
    else:
        player.watch(_share(player, 0.1, 0.7))
        player.pause()


def come_back_later(player: Player) -> None:
    """Pause beyond the timeout of a session, then continue in the same tab."""
    player.play()
    player.watch(_share(player, 0.2, 0.6))
    player.pause()
    player.wait(player.rng.randrange(31 * MINUTE_MS, 2 * HOUR_MS))
    player.play()
    player.watch(_share(player, 0.3, 0.9))
    player.pause()


def change_speed(player: Player) -> None:
    """Watch the beginning at normal speed and the rest faster."""
    player.play()
    player.watch(_share(player, 0.1, 0.3))
    player.pause()
    player.wait(player.rng.randrange(SECOND_MS, 5 * SECOND_MS))
    player.speed(player.rng.choice((1.25, 1.5, 2.0)))
    player.play()
    player.finish()


def padded_end(player: Player) -> None:
    """The file is a little longer than its metadata, so the end is beyond the duration."""
    player.play()
    player.watch(player.left_ms)
    assert player.video is not None
    padding = min(400, player.video.duration_ms // 20)
    player.clock_ms += padding
    player.position_ms += padding
    player.report("video_ended")


def impossible_position(player: Player) -> None:
    """An ordinary view with one broken heartbeat, far beyond the end of the video."""
    player.play()
    player.watch(_share(player, 0.2, 0.5))
    assert player.video is not None
    player.wait(50)
    player.misreport("video_progress", 2 * player.video.duration_ms)
    player.watch(_share(player, 0.2, 0.5))
    player.pause()


WAYS: dict[Callable[[Player], None], int] = {
    watch_through: 20,
    watch_with_pauses: 22,
    close_the_tab: 8,
    give_up: 8,
    skip_ahead: 7,
    skip_back: 5,
    skip_while_paused: 9,
    drag_the_slider: 7,
    jump_unreported: 3,
    lose_a_stop: 2,
    watch_again: 4,
    come_back_later: 2,
    change_speed: 3,
    padded_end: 1,
    impossible_position: 1,
}
"""Every way of watching, with its weight."""

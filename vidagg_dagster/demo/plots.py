"""Five videos with a plot: what most of their viewers do, which a reader finds in a chart."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from vidagg_dagster.demo.clock import MINUTE_MS, SECOND_MS
from vidagg_dagster.demo.player import Player

PLOT_SHARE: Final = 0.8
"""So many views follow the plot; the others are like those of any video."""

INTRO_MS: Final = 2 * MINUTE_MS
HARD_MINUTE_ENDS_MS: Final = 12 * MINUTE_MS
FREE_MS: Final = 30 * MINUTE_MS


@dataclass(frozen=True)
class Plot:
    """What most viewers of a video do, in words and as a way of watching."""

    story: str
    way: Callable[[Player], None]


def lose_interest(player: Player) -> None:
    """Most leave within the first minute; who stays longer stays to the end."""
    player.play()
    if player.rng.random() < 0.25:
        player.finish()
        return
    player.watch(min(round(player.rng.expovariate(1 / 20)) * SECOND_MS + 2_000, MINUTE_MS))
    player.pause()


def skip_the_intro(player: Player) -> None:
    """Jump over the intro after some seconds, then watch on."""
    player.play()
    player.watch(player.rng.randrange(2 * SECOND_MS, 8 * SECOND_MS))
    player.seek(INTRO_MS + player.rng.randrange(-4 * SECOND_MS, 4 * SECOND_MS))
    if player.rng.random() < 0.6:
        player.finish()
    else:
        player.watch(round(player.left_ms * player.rng.uniform(0.3, 0.9)))
        player.pause()


def watch_a_minute_again(player: Player) -> None:
    """Go back by the minute that is hard to understand, once or twice."""
    player.play()
    player.watch(HARD_MINUTE_ENDS_MS + player.rng.randrange(6 * SECOND_MS))
    for _ in range(player.rng.randint(1, 2)):
        player.seek(HARD_MINUTE_ENDS_MS - MINUTE_MS - player.rng.randrange(5 * SECOND_MS))
        player.watch(MINUTE_MS + player.rng.randrange(8 * SECOND_MS))
    if player.rng.random() < 0.6:
        player.finish()
    else:
        player.watch(round(player.left_ms * player.rng.uniform(0.2, 0.8)))
        player.pause()


def stop_at_the_paywall(player: Player) -> None:
    """Watch what is free. One in five pays and goes on to the end."""
    player.play()
    player.watch(FREE_MS)
    if player.rng.random() < 0.8:
        player.pause()
        return
    player.finish()


def watch_in_a_loop(player: Player) -> None:
    """Watch to the end, and again, two to five times."""
    player.play()
    player.finish()
    for _ in range(player.rng.randint(1, 4)):
        player.wait(player.rng.randrange(SECOND_MS, 5 * SECOND_MS))
        player.start_over()
        player.finish()


PLOTS: Final[Mapping[str, Plot]] = {
    "video_017": Plot("an early drop", lose_interest),
    "video_004": Plot("a skipped intro", skip_the_intro),
    "video_006": Plot("a minute watched again", watch_a_minute_again),
    "video_013": Plot("a cliff at the paywall", stop_at_the_paywall),
    "video_002": Plot("watched in a loop", watch_in_a_loop),
}
"""Video -> its plot."""

"""Trackers of Mux and Snowplow, as they come from npm: a page for each, and what it sends."""

import base64
import json
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from recordings.files import Json
from recordings.person import Person
from vidagg_dagster_tests.support.npm import npm_package
from vidagg_dagster_tests.support.tracked_page import Sent, record_page

MUX: Final = ("mux-embed", "5.19.0")
SNOWPLOW: Final = (
    "@snowplow/browser-plugin-media",
    "4.6.6",
    "@snowplow/browser-tracker@4.6.6",
)

_MUX_PAGE: Final = """<script src="/mux.js"></script>
<script>
mux.monitor(video, {
  beaconCollectionDomain: location.host,
  data: {
    env_key: "test",
    viewer_user_id: params.get("user"),
    video_id: params.get("video"),
    player_init_time: Date.now(),
  },
});
</script>
"""

_SNOWPLOW_PAGE: Final = """<script src="/tracker.js"></script><script src="/media.js"></script>
<script>
snowplowBrowserTracking.newTracker("sp", location.origin, {
  appId: "site", plugins: [snowplowMedia.SnowplowMediaPlugin()],
});
snowplowBrowserTracking.setUserId(params.get("user"));
{
  const media = snowplowMedia, id = params.get("session");
  const player = () => ({
    label: params.get("video"), currentTime: video.currentTime, duration: video.duration,
    paused: video.paused, ended: video.ended, playbackRate: video.playbackRate,
  });
  const told = () => ({ id, player: player(), newRate: video.playbackRate });
  media.startMediaTracking({
    id, player: player(), pings: { pingInterval: 10 }, filterOutRepeatedEvents: %s,
  });
  for (const [name, track] of Object.entries({
    play: media.trackMediaPlay,
    pause: media.trackMediaPause,
    ended: media.trackMediaEnd,
    seeking: media.trackMediaSeekStart,
    seeked: media.trackMediaSeekEnd,
    ratechange: media.trackMediaPlaybackRateChange,
    timeupdate: media.updateMediaTracking,
  })) {
    video.addEventListener(name, () => track(told()));
  }
}
</script>
"""


def act(person: Person) -> None:
    """Pause, go on, jump ahead, play at double speed, pause, go back, and on to the end."""
    tab = person.tab()
    tab.play()
    tab.at(3)
    tab.pause()
    tab.play()
    tab.at(5)
    tab.jump(12)
    tab.at(14)
    tab.speed(2)
    tab.at(18)
    tab.pause()
    time.sleep(0.5)  # else the page tells the pause after the jump, from where it went
    tab.jump(9)
    tab.until("!video.seeking && video.currentTime < 10")
    tab.speed(1)
    tab.play()
    tab.at(11)
    tab.jump(21)
    tab.until("video.ended")


def record_mux() -> Sent:
    """What mux-embed sends, and what the page played."""
    return record_page(_MUX_PAGE, {"/mux.js": npm_package(*MUX) / "dist" / "mux.js"}, act)


def record_snowplow(*, filtered: bool) -> Sent:
    """What the media plugin sends, with or without its filter of seeks, and what was played."""
    plugin = npm_package(*SNOWPLOW)
    tracker = plugin.parent / "browser-tracker"
    scripts = {
        f"/{name}.js": package / "dist" / "index.umd.min.js"
        for name, package in (("tracker", tracker), ("media", plugin))
    }
    return record_page(_SNOWPLOW_PAGE % json.dumps(filtered), scripts, act)


def snowplow_rows(beacons: Sequence[Json]) -> list[Json]:
    """The events of the collector's requests as rows of Snowflake, which keeps names as sent."""
    return [_row(event) for beacon in beacons for event in beacon["data"] if event["e"] == "ue"]


def _row(event: Json) -> Json:
    told = _unpacked(event, "ue_px", "ue_pr")["data"]
    contexts: dict[str, list[Json]] = {}
    for one in _unpacked(event, "cx", "co")["data"]:
        contexts.setdefault(_column("contexts", one["schema"]), []).append(one["data"])
    name = told["schema"].split("/")[1]
    at = datetime.fromtimestamp(int(event["dtm"]) / 1000, UTC)
    return {
        "event_id": event["eid"],
        "event": "unstruct",
        "event_name": name,
        "derived_tstamp": at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
        "user_id": event["uid"],
        "domain_userid": event["duid"],
        "domain_sessionid": event["sid"],
        _column("unstruct_event", told["schema"]): told["data"],
        **contexts,
    }


def _unpacked(event: Json, packed: str, plain: str) -> Json:
    text = event.get(plain) or base64.urlsafe_b64decode(event[packed] + "==")
    unpacked: Json = json.loads(text)
    return unpacked


def _column(kind: str, schema: str) -> str:
    """The name of the column of a schema such as iglu:com.acme/some_name/jsonschema/2-0-0."""
    vendor, name, _, version = schema.removeprefix("iglu:").split("/")
    return re.sub(r"\W", "_", f"{kind}_{vendor}_{name}_{version.split('-')[0]}")

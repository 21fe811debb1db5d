"""Microsoft's SDK for browsers: a page as docs/azure.md says, and what it sends.

    python -m vidagg_dagster_tests.support.browser_sdk

records once more what the fast tests read.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest

from recordings.files import Json
from recordings.person import Person
from vidagg_dagster.azure.pack import RawEvent
from vidagg_dagster_tests.support.kql_binder import documented
from vidagg_dagster_tests.support.npm import npm_package
from vidagg_dagster_tests.support.tracked_page import CLIP, USER, Sent, record_page

SDK = ("@microsoft/applicationinsights-web", "3.4.4")
RECORDED = Path(__file__).parent / "browser_sdk.json"
"""What `record` gave when it was last run."""

TOLERANCE_MS: Final = 100
"""Two frames and a half: an event is told a little after the place that it tells."""

_LOADED = """<script src="/sdk.js"></script>
<script>
const appInsights = new Microsoft.ApplicationInsights.ApplicationInsights({ config: {
  connectionString: "InstrumentationKey=00000000-0000-0000-0000-000000000001;"
    + `IngestionEndpoint=${location.origin}/`,
  // Else it asks Microsoft for changes of its configuration.
  extensionConfig: { AppInsightsCfgSyncPlugin: { cfgUrl: "" } },
} });
appInsights.loadAppInsights();
appInsights.trackPageView();
{
  const player = video, userId = params.get("user"), sessionId = params.get("session");
  %s
}
</script>
"""


def act(person: Person) -> None:
    """Pause, go on, jump ahead while playing, pause, go back, pause, and close the page."""
    tab = person.tab()
    tab.play()
    tab.at(2)
    tab.pause()
    tab.play()
    tab.at(4)
    tab.jump(15)
    tab.at(17)
    tab.pause()
    tab.jump(1)
    tab.play()
    tab.at(3)
    tab.pause()


def record() -> Sent:
    """Act it out in Chromium, on a page with the SDK."""
    sdk = npm_package(*SDK) / "browser" / "es5" / "ai.3.min.js"
    return record_page(_LOADED % documented("js"), {"/sdk.js": sdk}, act)


def recorded() -> Sent:
    """What was recorded."""
    return Sent(**json.loads(RECORDED.read_text("utf-8")))


def custom_events(beacons: Sequence[Json]) -> list[Json]:
    """The custom events among what was sent."""
    return [beacon for beacon in beacons if beacon["data"]["baseType"] == "EventData"]


def raw_events(beacons: Sequence[Json]) -> list[RawEvent]:
    """The custom events as Application Insights keeps them."""
    return [
        RawEvent(
            datetime.fromisoformat(event["time"]).replace(tzinfo=None),
            event["data"]["baseData"]["name"],
            event["data"]["baseData"]["properties"],
            item_count=round(100 / event.get("sampleRate", 100)),
            measures=event["data"]["baseData"]["measurements"],
        )
        for event in custom_events(beacons)
    ]


def exported(beacons: Sequence[Json]) -> str:
    """The custom events as a data export rule writes them: JSON lines of AppEvents."""
    rows = [
        {
            "TimeGenerated": event["time"].replace("Z", "0000Z"),
            "Name": event["data"]["baseData"]["name"],
            "Properties": event["data"]["baseData"]["properties"],
            "Measurements": event["data"]["baseData"]["measurements"],
            "UserId": event["tags"]["ai.user.id"],
            "SessionId": event["tags"]["ai.session.id"],
            "ItemCount": round(100 / event.get("sampleRate", 100)),
            "Type": "AppEvents",
        }
        for event in custom_events(beacons)
    ]
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def assert_as_played(row: Mapping[str, Any], truth: Json) -> None:
    """The row of the page load says what `HTMLMediaElement.played` says."""
    played = [(round(1000 * start), round(1000 * end)) for start, end in truth["played_ranges"]]
    found = [(span["startMs"], span["endMs"]) for span in row["watchedIntervals"]]
    assert len(found) == len(played)
    for one, other in zip(found, played, strict=True):
        assert one == pytest.approx(other, abs=TOLERANCE_MS)
    sampled = sum(end - start for start, end in truth["sampled_ranges"])
    assert row["totalWatchTime"] == pytest.approx(sampled, abs=len(played) * TOLERANCE_MS / 1000)
    assert (row["userId"], row["videoId"], row["sessionCount"]) == (USER, CLIP.video_id, 1)
    assert (row["pauseCount"], row["completionCount"]) == (3, 0)
    assert (row["totalForwardSkips"], row["totalBackwardSkips"]) == (1, 1)


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(record()._asdict(), indent=1) + "\n", "utf-8")

"""The page of today: what the live tables say, in the zone of the days, and nobody's name."""

import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from vidagg_dagster.live.page import (
    REFRESH_S,
    LiveVideo,
    LiveView,
    live_page,
    live_view,
    write_live_page,
)
from vidagg_dagster_tests.support.live_site import NOW
from vidagg_dagster_tests.support.small_site import Site, day


def test_the_page_shows_who_watches_now_and_the_last_hour(tmp_path: Path, whole: Site) -> None:
    site = Site(tmp_path)
    shutil.copytree(whole.tables, site.tables)
    view = live_view(site.tables, day(2))
    # Nora begins at 23:59:40, twenty seconds before the day ends; nobody else is there.
    assert view.as_of == datetime(2026, 1, 7, 23, 59, 40, tzinfo=UTC)
    assert (view.watching, view.viewers) == (1, 5)
    assert len(view.minutes) == 60
    assert view.minutes[-1].minute == datetime(2026, 1, 7, 23, 59, tzinfo=UTC)
    # Ten minutes before, the ghost was seen.
    assert [one.watching for one in view.minutes[-11:]] == [0, 1, *[0] * 8, 1]
    assert view.rejected == 1
    assert [video.title for video in view.videos] == ["Welcome", "Trailer"]
    assert view.videos[0].watching == 1
    assert view.videos[0].starts == 2  # nora's and the ghost's
    page = write_live_page(site.tables, "UTC", NOW).read_text(encoding="utf-8")
    assert page == live_page(view, ZoneInfo("UTC"), NOW)
    assert f'<meta http-equiv="refresh" content="{REFRESH_S}">' in page
    assert "As of 23:59:40, written 23:59:59 (UTC)" in page
    assert not re.search("nora|ghost|peter|anna|rita", page)
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert not list(site.tables.glob("*.draft"))


def test_a_day_without_events_says_so(tmp_path: Path) -> None:
    assert live_view(tmp_path, day(0)) == LiveView(day(0))
    page = write_live_page(tmp_path, "Europe/Berlin", NOW).read_text(encoding="utf-8")
    assert "Live, 2026-01-08" in page
    assert "No events of today yet. Looked at 00:59:59 (Europe/Berlin)" in page


def test_a_title_is_a_text_and_no_html() -> None:
    video = LiveVideo("<script>alert(1)</script>", 1, 2, 3, 4.56)
    view = LiveView(day(0), NOW - timedelta(seconds=2), 1, 1, (), (video,))
    page = live_page(view, ZoneInfo("UTC"), NOW)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert '<td class="n">4.6' in page
    assert "rejected" not in page

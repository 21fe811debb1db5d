"""The picture of docs/cohorts.md: cohorts and reach of a made-up site, as Chromium shows the page.

`python -m tools.cohorts_picture` takes it.
"""

import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from recordings.chromium import chromium
from tools.report_picture import open_page, picture_of
from vidagg_dagster.report.contents import Page
from vidagg_dagster.report.language import language
from vidagg_dagster.report.page import render
from vidagg_dagster.report.queries import queries
from vidagg_dagster.report.read import Answer
from vidagg_dagster.report.scope import Scope

PICTURE: Final = Path("docs/images/cohorts.png")
MONDAY: Final = date(2026, 1, 5)
WEEKS: Final = 7
SHOWN: Final = """
const [cohorts, reach] = ['cohorts', 'reach'].map(id => document.getElementById(id));
document.querySelectorAll('[data-page]').forEach(one => { one.hidden = true; });
cohorts.hidden = reach.hidden = false;
for (const one of document.querySelectorAll('header, footer')) one.remove();
return document.documentElement.scrollHeight;
"""
BACK: Final = (100.0, 44.0, 37.0, 33.0, 31.0, 29.5, 28.0)
"""Made-up percentages of users who watched again so many weeks later."""

Row = dict[str, Any]


def made_up() -> dict[str, list[Row]]:
    """Name of a query -> the rows of its made-up answer."""
    return {
        "overview": [_overview()],
        "cohorts": list(_cohorts()),
        "attribute_cohorts": list(_by_plan()),
        "reach": list(_reach()),
    }


def page() -> str:
    """The page of the made-up site, as HTML."""
    asked, rows = queries(Scope(), frozenset()), made_up()
    answers = {
        name: Answer(asked[name], tuple(found[0]), tuple(tuple(row.values()) for row in found))
        for name, found in rows.items()
    }
    return render(Page(language("en"), answers, {n: asked[n] for n in rows}, [], with_users=False))


def _overview() -> Row:
    names = ("viewers", "users", "videos", "pairs", "plays", "watchHours", "completions")
    return dict.fromkeys(names, 1) | {
        "meanSeen": 1.0,
        "rewatched": 1.0,
        "firstDay": MONDAY,
        "lastDay": MONDAY + timedelta(weeks=WEEKS),
        "computedAt": datetime(2026, 3, 1, tzinfo=UTC),
    }


def _cell(users: int, percentage: float) -> Row:
    active = round(users * percentage / 100)
    share = round(100 * active / users, 1)
    return {"users": users, "activeUsers": active, "percentage": share, "watchHours": active * 0.7}


def _cohorts() -> Iterator[Row]:
    for week in range(WEEKS):
        users = 410 - 23 * week + 60 * (week % 3)
        for offset in range(WEEKS - week):
            key = {"cohortWeek": MONDAY + timedelta(weeks=week), "weekOffset": offset}
            # The last week is not over.
            over = week + offset < WEEKS - 1
            cell = _cell(users, BACK[offset] * (1 - 0.02 * week * (offset > 0)))
            unknown = dict.fromkeys(cell) | {"users": users}
            yield {**key, **(cell if over else unknown)}


def _by_plan() -> Iterator[Row]:
    for value, users, times in (("free", 1_480, 0.8), ("team", 610, 1.35), (None, 95, 0.6)):
        for offset in range(WEEKS - 1):
            share = BACK[offset] if offset == 0 else BACK[offset] * times
            of = users * (WEEKS - 1 - offset) // (WEEKS - 1)
            yield {"attribute": "plan", "value": value, "weekOffset": offset, **_cell(of, share)}


def _reach() -> Iterator[Row]:
    for title, day, by, could, reached in (
        ("What is new in March", 45, "visitors", None, (310, None, None)),
        ("Fire safety 2026", 30, "audience", 480, (122, 301, None)),
        ("Window functions", 12, "visitors", 1_730, (204, 388, 472)),
        ("Welcome", 3, "visitors", 1_650, (640, 905, 1_012)),
    ):
        counts = {f"reachedByDay{d}": n for d, n in zip((1, 7, 28), reached, strict=True)}
        shares = {
            f"day{days}": None if could is None or n is None else 100 * n / could
            for days, n in zip((1, 7, 28), reached, strict=True)
        }
        yield {
            "videoId": title,
            "title": title,
            "publishedDay": MONDAY + timedelta(days=day),
            "couldSeeBy": by,
            "couldSee": could,
            **counts,
            **shares,
        }


if __name__ == "__main__":
    binary = shutil.which("chromium")
    if binary is None:
        sys.exit("needs chromium")
    with TemporaryDirectory() as folder, chromium(binary) as browser:
        written = Path(folder) / "page.html"
        written.write_text(page(), encoding="utf-8")
        opened = browser.new_page(browser.new_person(), new_window=True)
        open_page(opened, written)
        PICTURE.write_bytes(picture_of(opened, SHOWN))

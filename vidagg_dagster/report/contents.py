"""What is on the page: the rows of its answers, and the numbers that its charts draw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import Any

from vidagg_dagster.report import charts
from vidagg_dagster.report.findings import Finding, before_the_end, findings
from vidagg_dagster.report.language import Language
from vidagg_dagster.report.peaks import Peak
from vidagg_dagster.report.queries import Query
from vidagg_dagster.report.read import Answer, Row

Answers = Mapping[str, Answer]


@dataclass(frozen=True)
class Denominator:
    """What 100 % means: `whole` viewers or plays; the lines of the grid for it."""

    name: str
    whole: float
    ticks: Sequence[charts.Tick]


@dataclass(frozen=True)
class Video:
    """One video of the page: its rows, and what is drawn of them."""

    number: int
    row: Row
    starters: Row
    curve: Row | None
    peaks: Sequence[Peak]
    chapters: Sequence[Row]
    strips: Sequence[Row]
    expected: int | None

    @property
    def title(self) -> str:
        """Its title; where it has none, its id."""
        return str(self.row["title"] or self.row["videoId"])

    @cached_property
    def findings(self) -> list[Finding]:
        """What stands out in it."""
        return [] if self.curve is None else findings(self.row, self.curve, self.peaks)

    @property
    def bins(self) -> int:
        """Into how many bins the curve is cut."""
        return len(self.curve["viewers"]) if self.curve else 0

    @cached_property
    def top(self) -> float:
        """The highest value of the plot: viewers and repeats together."""
        return max(self.stacked, default=0)

    @cached_property
    def stacked(self) -> list[float]:
        """Viewers of each bin, and on top of them the times that they watched it again."""
        curve = self.curve or {"viewers": (), "again": ()}
        both = zip(curve["viewers"], curve["again"], strict=True)
        return [viewers * (1 + again) for viewers, again in both]

    @property
    def most_leaving(self) -> int:
        """The most viewers who stop in one bin, the last twentieth left out."""
        left: list[int] = self.curve["lastSeenHere"] if self.curve else []
        return max(left[: before_the_end(len(left))], default=0)

    @property
    def to_the_end(self) -> int:
        """Viewers who stop in the last twentieth."""
        left: list[int] = self.curve["lastSeenHere"] if self.curve else []
        return sum(left[before_the_end(len(left)) :])

    @property
    def leaving(self) -> list[int]:
        """Who stops where; what is higher than the most before the end is cut off."""
        left: list[int] = self.curve["lastSeenHere"] if self.curve else []
        return [min(count, self.most_leaving) for count in left]

    @cached_property
    def denominators(self) -> list[Denominator]:
        """What the curve can be read in percent of."""
        wholes = {
            "viewers": self.row["viewers"],
            "start": self.starters["fromTheStart"],
            "peak": self.curve["mostWatched"] if self.curve else 0,
            # Viewers from outside the audience would make percentages of it senseless.
            "audience": self.expected if (self.expected or 0) >= self.row["viewers"] else None,
        }
        return [
            Denominator(name, whole, charts.ticks_up(self.top, whole))
            for name, whole in wholes.items()
            if whole
        ]


@dataclass(frozen=True)
class Page:
    """One page: what was asked and answered, in a language."""

    language: Language
    answers: Answers
    queries: Mapping[str, Query]
    videos: Sequence[Video]
    with_users: bool

    def rows(self, name: str) -> list[Row]:
        """The rows of an answer; none where its tables do not exist."""
        return self.answers[name].rows if name in self.answers else []

    @property
    def overview(self) -> Row:
        """The one row over everything."""
        return self.rows("overview")[0]

    @property
    def outcomes(self) -> dict[str, int]:
        """Rows of the source by what became of them."""
        return {row["outcome"]: int(row["eventRows"]) for row in self.rows("outcomes")}

    @property
    def balanced(self) -> bool:
        """Whether every row that was read is accounted for."""
        found = self.outcomes
        rest = ("accepted", "duplicates", "ignored", "rejected")
        return found.get("input", 0) == sum(found.get(name, 0) for name in rest)

    @cached_property
    def cohorts(self) -> dict[Any, dict[int, Row]]:
        """The rows of the triangle by week and offset."""
        found: dict[Any, dict[int, Row]] = {}
        for row in self.rows("cohorts"):
            found.setdefault(row["cohortWeek"], {})[row["weekOffset"]] = row
        return found

    @cached_property
    def attributes(self) -> dict[str, dict[str | None, dict[int, Row]]]:
        """The rows of cohorts by an attribute: attribute, value and offset -> row."""
        found: dict[str, dict[str | None, dict[int, Row]]] = {}
        for row in self.rows("attribute_cohorts"):
            cells = found.setdefault(row["attribute"], {}).setdefault(row["value"], {})
            cells[row["weekOffset"]] = row
        return found

    @property
    def columns(self) -> list[tuple[int, str]]:
        """Place and title of the videos of the table of users."""
        return [(row["place"], row["title"] or row["videoId"]) for row in self.rows("columns")]

    @staticmethod
    def cells(row: Row) -> dict[int, tuple[float | None, str]]:
        """Share seen and status of the audience, of each video that the user's row knows."""
        both = zip_longest(row["seen"], row["status"] or (), fillvalue="")
        return dict(zip(row["places"], both, strict=True))

    def sentence(self, finding: Finding, video: Video) -> str:
        """What stands out, in words."""
        form = self.language
        return form.text(
            f"finding_{finding.kind}",
            start=form.position(finding.start_ms),
            end=form.position(finding.end_ms),
            count=form.number(finding.count, 1 if finding.kind in ("again", "loop") else 0),
            percent=form.percent(finding.percent),
            viewers=form.number(video.row["viewers"]),
        )

    @property
    def data(self) -> dict[str, Any]:
        """What the page holds as JSON: each query with its answer."""
        return {name: answer.as_json for name, answer in self.answers.items()}

"""The languages of the page: its texts, and how they write numbers, days and positions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib import resources
from typing import Final, Literal, get_args

LanguageName = Literal["en", "de"]
LANGUAGES: Final[tuple[LanguageName, ...]] = get_args(LanguageName)
NOTHING: Final = "\u2013"
"""What stands where a number is not known."""

_SEPARATORS: Final[Mapping[LanguageName, tuple[str, str]]] = {"en": (",", "."), "de": (".", ",")}
_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000


@dataclass(frozen=True)
class Language:
    """One language. Its methods write a value, or `NOTHING` where there is none."""

    name: LanguageName
    texts: Mapping[str, str]

    def text(self, key: str, **values: object) -> str:
        """A text of the page, with the values in their places."""
        return self.texts[key].format(**values)

    def number(self, value: float | None, places: int = 0) -> str:
        """A number in groups of three: 12,345.6 in English, 12.345,6 in German."""
        if value is None:
            return NOTHING
        groups, point = _SEPARATORS[self.name]
        whole, _, rest = f"{value:,.{places}f}".partition(".")
        return whole.replace(",", groups) + (point + rest if rest else "")

    def percent(self, value: float | None, places: int = 0) -> str:
        """A percentage; the space before the sign does not break."""
        return NOTHING if value is None else f"{self.number(value, places)}\u202f%"

    def day(self, value: date | None) -> str:
        """A day: 2026-01-15 in English, 15.01.2026 in German."""
        if value is None:
            return NOTHING
        return f"{value:%d.%m.%Y}" if self.name == "de" else f"{value:%Y-%m-%d}"

    def moment(self, value: datetime | None) -> str:
        """A day with its time, which is UTC."""
        return NOTHING if value is None else f"{self.day(value)} {value:%H:%M} UTC"

    @staticmethod
    def position(value: float | None) -> str:
        """Milliseconds as a position of a player: 4:05, 1:04:05."""
        if value is None:
            return NOTHING
        hours, minutes = int(value // _HOUR_MS), int(value // _MINUTE_MS) % 60
        seconds = int(value // 1000) % 60
        return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


@cache
def language(name: LanguageName) -> Language:
    """The language of this name."""
    import yaml

    file = resources.files(__package__) / "texts" / f"{name}.yaml"
    return Language(name, yaml.safe_load(file.read_text(encoding="utf-8")))

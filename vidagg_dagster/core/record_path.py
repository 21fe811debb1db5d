"""The way to a value inside a record, such as `properties.ids[0]`, and how it is written."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

_STEP: Final = re.compile(
    r"""(?:^|(?<=.)\.)(?:"(?P<quoted>[^"]+)"|(?P<plain>[^."\[\]]+))
      | \[(?P<index>[0-9]+)\]
      | \[(?P<field>[^=\[\]]+)=(?P<equals>[^\[\]]*)\]
        \.(?:"(?P<quoted_take>[^"]+)"|(?P<take>[^."\[\]]+))
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Element:
    """One element of an array, counted from 0."""

    index: int


@dataclass(frozen=True)
class Entry:
    """In an array of objects, the field `take` of the first one whose `field` equals a text."""

    field: str
    equals: str
    take: str


Step = str | Element | Entry
"""A text is the name of a field, whatever characters are in it."""

RecordPath = tuple[Step, ...]
"""The first step is the name of a column of the source."""


@cache
def parse_path(text: str) -> RecordPath:
    """A path as it is written -> its steps.

    A dot leads into an object, `[0]` into an array, and `[key=name].value` takes the field `value`
    of the element whose field `key` is `name`. Names with dots or brackets stand in double quotes.
    Text that holds JSON counts as what it holds.

    Raises:
        ValueError: The text is no path.
    """
    steps: list[Step] = []
    at = 0
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            break
        steps.append(_step(found))
        at = found.end()
    if at < len(text) or not steps or not isinstance(steps[0], str):
        raise ValueError(f'{text!r} is no path; write a.b, a[0], a[key=name].value or "a.b".c')
    return tuple(steps)


def _step(found: re.Match[str]) -> Step:
    groups = found.groupdict()
    if groups["index"] is not None:
        return Element(int(groups["index"]))
    if groups["field"] is not None:
        return Entry(groups["field"], groups["equals"], groups["quoted_take"] or groups["take"])
    return str(groups["quoted"] or groups["plain"])

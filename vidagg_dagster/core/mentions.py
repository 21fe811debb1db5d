"""Where a text mentions an id: as a word of its own, plain or escaped as JSON escapes it."""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

ERASED: Final = "(erased)"
"""What stands in place of a text or a word that was erased."""


@dataclass(frozen=True, repr=False)
class Mentions:
    """Finds one id in texts. `alice` is in `"user": "alice"`, and not in `alice-2` or `malice`."""

    user: str

    @cached_property
    def forms(self) -> tuple[str, ...]:
        """How the id may be written: as it is, and within JSON, and within JSON in JSON."""
        forms = [self.user]
        for ascii_only in (False, True):
            form = self.user
            for _ in range(2):
                form = json.dumps(form, ensure_ascii=ascii_only)[1:-1]
                forms.append(form)
        return tuple(dict.fromkeys(forms))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        forms = "|".join(re.escape(form) for form in sorted(self.forms, key=len, reverse=True))
        # An escaped line end or tab before the word is no part of it.
        return re.compile(rf"(?:(?<![\w-])|(?<=\\[nrt]))(?:{forms})(?![\w-])")

    def may_be_in(self, content: bytes) -> bool:
        """Whether the bytes hold the id at all; quick, and true of parts of longer words too."""
        return any(form.encode("utf-8", "surrogatepass") in content for form in self.forms)

    def found_in(self, text: str) -> bool:
        """Whether the text mentions the id."""
        return self._pattern.search(text) is not None

    def erased_from(self, text: str) -> str:
        """The text with `ERASED` in place of each mention."""
        return self._pattern.sub(ERASED, text)

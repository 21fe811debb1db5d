"""Exit codes of the commands."""

from typing import Final

FAILED: Final = 1
"""Exit code: the command began its work and did not complete it."""

BAD_INPUT: Final = 2
"""Exit code: arguments, settings or files that cannot be used."""

NOTHING_ACCEPTED: Final = 3
"""Exit code: there were rows, and none of them could be used."""

INTERRUPTED: Final = 130
"""Exit code: Ctrl-C, as shells count it."""

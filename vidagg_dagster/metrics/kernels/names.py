"""Names of columns by which kernels and the frames around them understand each other.

In a module without numpy, which an engine that computes by windows does not need.
"""

from typing import Final

AGAIN: Final = "_again"
"""An earlier row is the same event."""

SAME_ID: Final = "_sameId"
"""Another event has the row's eventId."""

REASON_BITS: Final = "_reasonBits"
"""Why a row is rejected: bit n for reason n of `events.REASONS`; 0 if it is not."""

COUNTS: Final = "counts"
"""Only on the last row of what `FromEvents` gives, which has no user: rows that came in, accepted
events, rejected rows, and these by bit of `REASON_BITS`."""

CARRIED: Final = (SAME_ID, REASON_BITS)
"""Columns that `timeline.prepared` passes on beside those of events."""

"""Which variant a unit gets: a hash that any front end can compute too.

SHA-256 of `salt:unit` in UTF-8; its first six bytes as a number, modulo 10 000, is the bucket.
Six bytes fit into a JavaScript number exactly. The variants share the buckets from 0 on, in the
order in which they are named. docs/experiments.md has the same in JavaScript, and vectors to test
it with.
"""

import hashlib
from decimal import Decimal, InvalidOperation
from typing import Final

from pydantic import BaseModel, ConfigDict, model_validator

BUCKETS: Final = 10_000
_BYTES: Final = 6
_PERCENT: Final = BUCKETS // 100


class Allocation(BaseModel):
    """Variant -> its share in percent, with at most two places. What is left over is in no arm."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shares: dict[str, Decimal]

    @classmethod
    def parse(cls, text: str) -> "Allocation":
        """`control=50,treatment=50` as an allocation.

        Raises:
            ValueError: It is not of this form, or the shares are impossible.
        """
        shares: dict[str, Decimal] = {}
        for part in text.split(","):
            name, _, share = part.partition("=")
            try:
                percent = Decimal(share.strip())
            except InvalidOperation:
                raise ValueError(f"{part!r} is not NAME=PERCENT") from None
            if name.strip() in shares:
                raise ValueError(f"{name.strip()!r} is named twice")
            shares[name.strip()] = percent
        return cls(shares=shares)

    @model_validator(mode="after")
    def _possible(self) -> "Allocation":
        if len(self.shares) < 2:
            raise ValueError("an experiment has two variants or more")
        for name, share in self.shares.items():
            if not name or share <= 0 or share * _PERCENT != int(share * _PERCENT):
                raise ValueError(f"{name}={share}: a share is above 0 and has at most two places")
        if sum(self.shares.values()) > 100:
            raise ValueError("the shares are more than 100 percent together")
        return self

    def variant(self, bucket: int) -> str | None:
        """The variant of a bucket; None where the shares leave it out."""
        end = Decimal(0)
        for name, share in self.shares.items():
            end += share * _PERCENT
            if bucket < end:
                return name
        return None


def bucket(salt: str, unit: str) -> int:
    """The bucket of a unit, 0 to 9999; another salt gives an independent one."""
    digest = hashlib.sha256(f"{salt}:{unit}".encode()).digest()
    return int.from_bytes(digest[:_BYTES], "big") % BUCKETS

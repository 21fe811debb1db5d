"""Files that lie beside data and are none, and what a file without a known extension is."""

import re
from pathlib import Path
from typing import Final

from vidagg_dagster.sources.packed import PACKING_ERRORS, opened

_STRAYS: Final = re.compile(
    r"(?:readme|licen[cs]e|notice)(?:\.[^.]+)?|.*\.(?:md|crc|md5|sha1|sha256|sha512|part|tmp)"
    r"|thumbs\.db|desktop\.ini|manifest\.json",
    re.IGNORECASE,
)
"""Papers, sums, what file managers leave, downloads that have not ended, lists of other files."""

_HEAD_BYTES: Final = 4096
_MARKS: Final = ((b"PAR1", "parquet"), (b"Obj\x01", "avro"), (b"ORC", "orc"))


def is_stray(name: str) -> bool:
    """Whether a file of this name lies beside data and is none, in a folder that is a source."""
    return _STRAYS.fullmatch(name) is not None


def format_by_content(path: Path) -> str | None:
    """The format of a file whose name does not tell it, by how it begins; None if that is unclear.

    CSV has no beginning of its own.
    """
    try:
        with opened(path, None) as stream:
            head = stream.read(_HEAD_BYTES)
    except (*PACKING_ERRORS, ValueError):
        return None
    for mark, found in _MARKS:
        if head.startswith(mark):
            return found
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return "jsonl" if text.startswith((b"{", b"[")) else None

"""Names in Spark catalogs and in Unity Catalog, checked before they reach a path or a statement."""

import re
import uuid
from typing import Final

FILE_FORMATS: Final = frozenset(
    {"avro", "binaryfile", "csv", "delta", "iceberg", "json", "orc", "parquet", "text", "xml"}
)
"""Names that are no schemas: Spark reads `delta.x` as the folder x, and `text.x` as the file x."""

_PART: Final = r"[A-Za-z0-9_-]+"
_TABLE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*){0,2}", re.ASCII)
_ANY_SCHEMA: Final = re.compile(rf"{_PART}(\.{_PART})?")
_SCHEMA: Final = re.compile(rf"{_PART}\.{_PART}")
_VOLUME: Final = re.compile(rf"(?P<mount>(/[\w.-]+)*)/Volumes/(?P<volume>{_PART}/{_PART}/{_PART})")
_FOLDER: Final = re.compile(r"[\w-][\w.-]*")
_SCRATCH_TABLE: Final = re.compile(r"\w+_computed_[0-9a-f]{32}")


def require_schema(name: str) -> str:
    """`name` if it is `catalog.schema`.

    Raises:
        ValueError: It is something else.
    """
    if not _SCHEMA.fullmatch(name):
        raise ValueError("not catalog.schema, both of letters, digits, _ and -")
    return name


def is_schema_name(text: str) -> bool:
    """Whether a text can name a place for tables: `schema` or `catalog.schema`."""
    return _ANY_SCHEMA.fullmatch(text) is not None and text.lower() not in FILE_FORMATS


def is_table_name(text: str) -> bool:
    """Whether a text can name a table: `table`, `schema.table` or `catalog.schema.table`."""
    parts = text.lower().split(".")
    reads_file = len(parts) > 1 and parts[0] in FILE_FORMATS
    return _TABLE.fullmatch(text) is not None and not reads_file


def require_volume(path: str) -> str:
    """`path` without a slash at its end, if it is a volume or a folder in one.

    Raises:
        ValueError: It is something else.
    """
    path = path.rstrip("/")
    found = _VOLUME.match(path)
    folders = path[found.end() :].split("/")[1:] if found else []
    rest = path[found.end() :] if found else ""
    if not found or (rest and not rest.startswith("/")) or ".." in path.split("/"):
        raise ValueError("not the path of a Unity Catalog volume: no dbfs: or other scheme, no ..")
    if not all(_FOLDER.fullmatch(folder) for folder in folders):
        raise ValueError("folders in a volume are named by letters, digits, _, - and .")
    return path


def volume_name(path: str) -> str:
    """The `catalog.schema.volume` that `path` lies in."""
    found = _VOLUME.match(path)
    if found is None:
        raise ValueError(f"{path} is not in a Unity Catalog volume")
    return found["volume"].replace("/", ".")


def pipes_folder(volume: str) -> str:
    """Where requests and results of steps pass through."""
    return f"{volume}/pipes"


def wheel_folder(volume: str) -> str:
    """Where `vidagg databricks deploy` puts the wheel."""
    return f"{volume}/wheels"


def scratch_table(table: str) -> str:
    """A new name beside `table` for rows that last for one step. A killed step leaves it behind."""
    return f"{table}_computed_{uuid.uuid4().hex}"


def is_scratch_table(name: str) -> bool:
    """Whether `scratch_table` made the name."""
    return _SCRATCH_TABLE.fullmatch(name) is not None


def scratch_folder(volume: str) -> str:
    """Where a step keeps copies of source files that Spark cannot read as they are."""
    return f"{volume}/scratch"

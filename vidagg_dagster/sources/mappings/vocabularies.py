"""The vocabularies that are known, and those of users: files of YAML -> mappings."""

from functools import cache
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.core.event_mapping import EventMapping

SUFFIXES: Final = (".yaml", ".yml")
_FOLDER: Final = Path(__file__).parent


@cache
def vocabulary_names() -> tuple[str, ...]:
    """The names of the vocabularies that come with the package."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.yaml")))


def vocabularies() -> tuple[EventMapping, ...]:
    """The vocabularies that come with the package, by name."""
    return tuple(find_mapping(name) for name in vocabulary_names())


def find_mapping(name: str) -> EventMapping:
    """A vocabulary by its name, or the mapping in a file of YAML.

    Raises:
        SourceError: There is none of this name, or the file cannot be read or is wrong.
    """
    if name.endswith(SUFFIXES):
        return _read(Path(name).expanduser())
    if name not in vocabulary_names():
        raise SourceError(
            f"There is no vocabulary {name!r}. Known are {', '.join(vocabulary_names())}; or name "
            "a file that ends in .yaml."
        )
    return _built_in(name)


@cache
def _built_in(name: str) -> EventMapping:
    return _read(_FOLDER / f"{name}.yaml")


def _read(file: Path) -> EventMapping:
    import yaml

    try:
        # BaseLoader takes nothing but text: a name such as `on` or `1` stays what it is.
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    except OSError as error:
        raise SourceError(f"Cannot read the mapping {file}: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        words = " ".join(str(error).split())
        raise SourceError(f"The mapping {file} is not YAML: {words}.") from error
    if not isinstance(content, dict):
        raise SourceError(f"The mapping {file} is not a YAML object with columns and events.")
    try:
        return EventMapping.model_validate({"name": file.stem, **content})
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors()
        )
        raise SourceError(f"The mapping {file} is wrong: {faults}.") from error

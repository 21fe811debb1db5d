"""What tables in a folder lie on: which folders can be used, and what faults mean.

A folder may be one of object storage. It is a `UPath` then, which has those methods of `Path` that
tables use; `obstore` is behind it, so that credentials are those of `deltalake` and of Sail.
"""

import os
import shutil
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

from vidagg_dagster.core.errors import TableError

_UNUSABLE: Final = set("[]{}*?^|%\\") | {chr(code) for code in range(32)}
"""Characters that an engine reads as a pattern in a path, or that deltalake does not escape."""


CREDENTIALS: Final = {
    "s3://": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION",
    "abfss://": "AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY",
    "gs://": "GOOGLE_SERVICE_ACCOUNT, GOOGLE_APPLICATION_CREDENTIALS",
}
"""How an address of object storage begins -> its usual variables."""


def is_address(root: str | Path) -> bool:
    """Whether tables below `root` are in object storage."""
    return str(root).startswith((*CREDENTIALS,))


def usable_root(root: str | Path) -> Path:
    """The absolute path of `root`.

    Raises:
        TableError: The path contains a character that an engine reads as a pattern, or the
            packages for object storage are not installed.
    """
    absolute = _object_folder(str(root)) if is_address(root) else Path(root).absolute()
    bad = sorted(_UNUSABLE & set(str(absolute)))
    if bad:
        raise TableError(
            f"Tables cannot live in {absolute}: the engines give {' '.join(map(repr, bad))} in a "
            "path a meaning of their own. Choose another folder with VIDAGG_DATA_ROOT."
        )
    return absolute


@cache
def _object_folder(address: str) -> Path:
    try:
        from obstore.fsspec import register
        from upath import UPath
    except ModuleNotFoundError as error:
        raise TableError(
            f"Tables in {address} need the package {error.name}: pip install "
            "'vidagg_dagster[local,objects]'"
        ) from error
    register(address.partition(":")[0])
    return cast(Path, UPath(address.rstrip("/")))


def make_private(folder: Path) -> None:
    """Make a folder that its owner alone can enter: tables hold ids of users.

    One that exists keeps its mode, so that a group can be let in. Object storage has no folders.
    """
    if is_address(folder):
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def sync(*paths: Path) -> None:
    """Wait until files, or the names in folders, are on the disk, where a power cut leaves them."""
    for path in paths:
        if is_address(path):
            continue  # written is written
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_folder(folder: Path) -> None:
    """Remove a folder and what is in it, as far as it can be."""
    if not is_address(folder):
        shutil.rmtree(folder, ignore_errors=True)
        return
    place: Any = folder
    with suppress(FileNotFoundError):
        place.fs.rm(place.path, recursive=True)


def require_writable(root: str | Path) -> None:
    """Make sure that tables can be written below `root`, before anything is computed.

    Raises:
        TableError: They cannot; the message says why.
    """
    folder = usable_root(root)
    if is_address(folder):
        _require_writable_objects(folder)
        return
    existed = folder.exists()
    probe = folder / f".vidagg-{uuid.uuid4().hex}"
    try:
        make_private(folder)
        probe.write_bytes(b"x" * 4096)
    except OSError as error:
        raise storage_fault(root, error) or _unwritable(folder, error) from error
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
            if not existed:  # A run that fails before its first table leaves no folder behind.
                folder.rmdir()


def _require_writable_objects(folder: Path) -> None:
    from obstore.exceptions import BaseError

    probe = folder / f".vidagg-{uuid.uuid4().hex}"
    try:
        probe.write_bytes(b"x")
        probe.unlink()
    except (BaseError, OSError) as error:
        said = " ".join(str(error).split())[:300]
        raise TableError(
            f"{folder} (VIDAGG_DATA_ROOT) cannot be written: {said}. Check the bucket, or the "
            "container, and the credentials, which are those of the usual variables "
            f"({_variables(folder)})."
        ) from error


def _variables(folder: Path) -> str:
    return next(names for scheme, names in CREDENTIALS.items() if str(folder).startswith(scheme))


def write_whole_text(file: Path, text: str, *, mode: int = 0o666) -> None:
    """Write a file that appears when it is whole; `mode` is for a file of this machine.

    Raises:
        OSError: It cannot be written.
    """
    if is_address(file):
        from obstore.exceptions import BaseError

        try:
            file.write_text(text, encoding="utf-8")  # one put, which is whole or is not there
        except BaseError as error:
            raise OSError(" ".join(str(error).split())[:300]) from error
        return
    draft = file.with_name(f".{file.name}.draft")
    try:
        draft.unlink(missing_ok=True)
        draft.touch(mode=mode)
        draft.write_text(text, encoding="utf-8")
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def storage_fault(root: str | Path, error: BaseException) -> TableError | None:
    """The error to show if `error` means that the disk of `root` is full or read-only, else None.

    Engines wrap what the operating system said in errors of their own, so its words are searched.
    """
    text = str(error)
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return TableError(
            f"There is no space left in {usable_root(root)} (VIDAGG_DATA_ROOT). The tables "
            "hold what they held before. Make room (`vidagg maintain` removes what no version "
            "needs), then run the days again."
        )
    if "Read-only file system" in text or "Permission denied" in text:
        return _unwritable(usable_root(root), text.splitlines()[0][:300])
    return None


def _unwritable(folder: Path, reason: object) -> TableError:
    return TableError(
        f"The folder {folder} (VIDAGG_DATA_ROOT) cannot be written: {reason}. Allow it, or choose "
        "another folder."
    )

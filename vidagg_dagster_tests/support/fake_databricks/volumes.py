"""The Files API over a folder: a path below /Volumes is the same path of the file system."""

import shutil
from pathlib import Path

from vidagg_dagster_tests.support.fake_databricks.answers import (
    Answer,
    ApiError,
    bad_request,
    not_found,
)


class Volumes:
    """Files of the volumes below `root`. No other folder is served."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.read_only = False

    def put_folder(self, path: str) -> Answer:
        self._at(path, writing=True).mkdir(parents=True, exist_ok=True)
        return Answer()

    def list_folder(self, path: str) -> Answer:
        folder = self._folder(path)
        return Answer(
            {
                "contents": [
                    {
                        "path": str(f),
                        "name": f.name,
                        "is_directory": f.is_dir(),
                        "last_modified": round(f.stat().st_mtime * 1000),
                    }
                    for f in sorted(folder.iterdir())
                ]
            }
        )

    def delete_folder(self, path: str) -> Answer:
        folder = self._folder(path)
        if any(folder.iterdir()):
            raise bad_request(f"{path} is not empty.")
        folder.rmdir()
        return Answer()

    def put_file(self, path: str, content: bytes, overwrite: bool) -> Answer:
        file = self._at(path, writing=True)
        if file.exists() and not overwrite:
            raise ApiError(409, "ALREADY_EXISTS", f"{path} already exists.")
        file.parent.mkdir(parents=True, exist_ok=True)
        # In one step, as in object stores: a task must not read half a file.
        part = file.with_name(f".{file.name}.part")
        part.write_bytes(content)
        part.replace(file)
        return Answer()

    def get_file(self, path: str, *, content: bool) -> Answer:
        file = self._file(path)
        headers = {"content-type": "application/octet-stream"}
        if not content:
            return Answer(headers={**headers, "content-length": str(file.stat().st_size)})
        return Answer(content=file.read_bytes(), headers=headers)

    def delete_file(self, path: str) -> Answer:
        self._file(path).unlink()
        return Answer()

    def clear(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True)

    def _at(self, path: str, *, writing: bool = False) -> Path:
        place = Path(path).resolve()
        volume = self.root.resolve()
        # /Volumes/catalog/schema/volume: the Files API does not create volumes.
        parts = place.relative_to(volume).parts if place.is_relative_to(volume) else ()
        if len(parts) < 3 or not volume.joinpath(*parts[:3]).is_dir():
            raise not_found(f"The volume of {path}")
        if writing and self.read_only:
            raise ApiError(403, "PERMISSION_DENIED", "User does not have WRITE VOLUME.")
        return place

    def _file(self, path: str) -> Path:
        file = self._at(path)
        if not file.is_file():
            raise not_found(f"The file {path}")
        return file

    def _folder(self, path: str) -> Path:
        folder = self._at(path)
        if not folder.is_dir():
            raise not_found(f"The directory {path}")
        return folder

"""Tables in object storage: days and a re-run, two writers at once, killed writers, maintenance."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from vidagg_dagster.cli.main import main
from vidagg_dagster.core.contract import StepName, TableStore
from vidagg_dagster.core.errors import TableError
from vidagg_dagster.core.schemas import SESSIONS, TABLES
from vidagg_dagster.settings import Settings
from vidagg_dagster.tables.disk import require_writable, usable_root
from vidagg_dagster_tests.support.dagster_project import Project
from vidagg_dagster_tests.support.object_storage import object_storage
from vidagg_dagster_tests.support.small_site import day
from vidagg_dagster_tests.support.writers import delta, go, owner_and_rows, start_writer


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with object_storage() as address:
        yield address


def rows(project: Project) -> dict[str, list[dict[str, object]]]:
    return {step: project.rows(TABLES[step]) for step in StepName}


def test_days_in_object_storage_give_the_rows_of_a_folder(
    project: Project,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = f"{bucket}/days"
    assert project.run(day(0), day(1)).success
    expected = rows(project)
    project.changed["data_root"] = root
    assert project.settings.store == TableStore(kind="local", location=root)
    for number in (0, 1, 0):
        assert project.run(day(number)).success
    assert rows(project) == expected

    monkeypatch.setenv("VIDAGG_DATA_ROOT", root)
    assert main(["maintain", "--retention-hours", "0", "--accept-risk"]) == 0
    assert re.search(r"sessions: version \d+, [1-9]\d* files removed", capsys.readouterr().out)
    assert rows(project) == expected
    assert {*usable_root(root).glob("**/staging-*/**/*.parquet")} == set()
    for command in (["verify"], ["forget", "peter"]):
        assert main(command) != 0
        assert f"the tables are in {root}" in capsys.readouterr().err


def test_two_writers_of_a_day_leave_the_rows_of_one(bucket: str) -> None:
    root = usable_root(f"{bucket}/writers")
    writers = [start_writer(root, name, count, 3) for name, count in (("a", 3), ("b", 5))]
    for writer in writers:
        go(writer)
    assert [writer.wait(timeout=300) for writer in writers] == [0, 0]
    last = int(delta(root).version())
    found = {owner_and_rows(root, version) for version in range(1, last + 1)}
    assert found == {("a", 3), ("b", 5)}


@pytest.mark.parametrize("point", ["after_stage", "before_commit", "after_commit"])
def test_a_killed_writer_leaves_the_rows_before_or_after(
    project: Project, bucket: str, point: str
) -> None:
    project.changed["data_root"] = root = f"{bucket}/{point}"
    assert project.run(day(0)).success
    before = project.rows(SESSIONS)
    asked = project.site.request(StepName.SESSIONS, [day(0)]).model_copy(
        update={"store": TableStore(kind="local", location=root)}
    )
    command = [sys.executable, "-m", "vidagg_dagster_tests.support.killed_step"]
    killed = subprocess.run(
        [*command, point, SESSIONS.name], input=asked.model_dump_json(), text=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert project.rows(SESSIONS) == before
    assert delta(usable_root(root), SESSIONS).version() == (2 if point == "after_commit" else 1)
    assert project.run(day(0), assets=[SESSIONS.name]).success
    assert project.rows(SESSIONS) == before


def test_a_bucket_that_cannot_be_written_is_named_before_anything_is_computed(bucket: str) -> None:
    with pytest.raises(TableError, match=r"s3://nowhere/x \(VIDAGG_DATA_ROOT\) cannot be written"):
        require_writable("s3://nowhere/x")
    require_writable(f"{bucket}/anywhere")


def test_only_sail_writes_there(bucket: str) -> None:
    with pytest.raises(ValueError, match="only Sail writes to object storage"):
        Settings.model_validate({"data_root": bucket, "engine": "spark"})

"""Tables in object storage: days and a re-run, two writers at once, killed writers, maintenance,
and the commands that read them.

`s3` is moto's server and `abfss` Azurite; `gs` is what `support/object_storage.py` says."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

from vidagg_dagster.azure.export import changed_rows
from vidagg_dagster.cli.main import main
from vidagg_dagster.core.contract import StepName, TableStore
from vidagg_dagster.core.errors import TableError
from vidagg_dagster.core.schemas import SESSIONS, TABLES
from vidagg_dagster.defs.page import page
from vidagg_dagster.report.scope import FILE
from vidagg_dagster.settings import Settings
from vidagg_dagster.tables.disk import require_writable, usable_root
from vidagg_dagster_tests.support.dagster_project import Project
from vidagg_dagster_tests.support.object_storage import object_storage
from vidagg_dagster_tests.support.small_site import day
from vidagg_dagster_tests.support.writers import delta, go, owner_and_rows, start_writer


@pytest.fixture(scope="module", params=["s3", "abfss", "gs"])
def bucket(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with object_storage(request.param, tmp_path_factory.mktemp("storage")) as address:
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


def test_commands_read_them_write_the_page_there_and_forget_a_user(
    project: Project,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = f"{bucket}/commands"
    project.changed["data_root"] = root
    assert project.run(day(0), day(1)).success
    settings = {"DATA_ROOT": root, "SOURCE": str(project.site.events)}
    for name, value in settings.items():
        monkeypatch.setenv(f"VIDAGG_{name}", value)

    def said(*command: str, code: int = 0) -> str:
        assert main([*command]) == code, capsys.readouterr()
        return capsys.readouterr().out

    counted = "SELECT userId, count(*) AS n FROM user_video_engagement GROUP BY 1 ORDER BY 1"
    assert said("query", counted) == "userId,n\nanna,4\npeter,2\n"
    assert said("verify") == f"all agrees in {root}: {day(0)} to {day(1)}\n"
    said("export", "sessions", "--output", str(tmp_path / "exported"))
    sessions = pq.read_table(tmp_path / "exported" / "sessions.parquet")
    assert sessions.num_rows == len(project.rows(SESSIONS))
    assert said("report").startswith(f"{root}/{FILE}: 2 videos")
    assert "peter" in (usable_root(root) / FILE).read_text(encoding="utf-8")
    (usable_root(root) / FILE).unlink()
    defined = page(project.settings).assets or ()
    assert dg.materialize([a for a in defined if isinstance(a, dg.AssetsDefinition)]).success
    assert (usable_root(root) / FILE).is_file()

    (rows_of_export,) = changed_rows(usable_root(root), None)
    assert {row["userId"] for row in rows_of_export} == {"anna", "peter"}
    assigned = tmp_path / "assigned.csv"
    exposed = f"{day(0)}T00:00:00Z"
    lines = (f"x,{user},{arm},{exposed}\n" for user, arm in (("anna", "control"), ("peter", "new")))
    assigned.write_text("experiment,unitId,variant,exposedAt\n" + "".join(lines))
    monkeypatch.setenv("VIDAGG_EXPERIMENTS_ASSIGNMENTS", str(assigned))
    assert "x: control 0 of 1, new 0 of 1; 0 in two arms" in said("experiments", code=1)
    assert (usable_root(root) / "experiments" / "x.html").is_file()
    monkeypatch.setenv("VIDAGG_COMPLETION_FORECAST", "table")
    assert "in force: " in said("completion")

    out = said("forget", "peter", code=1)
    assert "sessions: 2 rows of 2 days erased" in out
    assert f"{FILE}: removed" in out
    assert "STILL MENTIONED" not in out
    assert "NOT SEARCHED: earlier versions of objects, and removed ones, if the storage" in out
    assert said("query", counted) == "userId,n\nanna,4\n"
    assert "peter" not in {row["userId"] for row in project.rows(SESSIONS)}
    assert said("verify").startswith("all agrees")


def test_what_is_damaged_there_is_told_with_what_can_be_done(
    project: Project,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = usable_root(f"{bucket}/damaged")
    project.changed["data_root"] = str(root)
    assert project.run(day(0)).success
    monkeypatch.setenv("VIDAGG_DATA_ROOT", str(root))
    lost = next((root / SESSIONS.name).glob("event_date=*/*.parquet"))
    lost.unlink()
    assert main(["verify"]) == 1
    assert f"{lost} is missing" in capsys.readouterr().out
    (root / SESSIONS.name / "_delta_log" / f"{1:020d}.json").write_text("{", encoding="utf-8")
    assert main(["verify"]) == 1
    assert f"(remove {root}/sessions/_delta_log/" in capsys.readouterr().out


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
    _killed(project, root, point, day(0))
    assert project.rows(SESSIONS) == before
    assert delta(usable_root(root), SESSIONS).version() == (2 if point == "after_commit" else 1)
    assert project.run(day(0), assets=[SESSIONS.name]).success
    assert project.rows(SESSIONS) == before


def test_a_day_whose_writer_was_killed_is_the_day_of_an_undisturbed_run(
    project: Project, bucket: str
) -> None:
    assert project.run(day(0), day(1)).success
    expected = rows(project)
    project.changed["data_root"] = root = f"{bucket}/half_a_day"
    assert project.run(day(0)).success
    before = project.rows(SESSIONS)
    assert project.run(day(1), assets=[StepName.RAW_EVENTS]).success
    _killed(project, root, "before_commit", day(1))
    assert project.rows(SESSIONS) == before
    assert project.run(day(1)).success
    assert rows(project) == expected


def _killed(project: Project, root: str, point: str, of: date) -> None:
    """Let a process write the sessions of a day, which kills itself by SIGKILL at `point`."""
    asked = project.site.request(StepName.SESSIONS, [of]).model_copy(
        update={"store": TableStore(kind="local", location=root)}
    )
    command = [sys.executable, "-m", "vidagg_dagster_tests.support.killed_step"]
    killed = subprocess.run(
        [*command, point, SESSIONS.name], input=asked.model_dump_json(), text=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL


def test_a_bucket_that_cannot_be_written_is_named_before_anything_is_computed(bucket: str) -> None:
    nowhere = re.sub("tables-[0-9a-f]+", "nowhere", bucket)
    said = rf"{re.escape(nowhere)}/x \(VIDAGG_DATA_ROOT\) cannot be written.* \((AWS|AZURE|GOOGLE)_"
    with pytest.raises(TableError, match=said):
        require_writable(f"{nowhere}/x")
    require_writable(f"{bucket}/anywhere")


def test_only_sail_writes_there(bucket: str) -> None:
    with pytest.raises(ValueError, match="only Sail writes to object storage"):
        Settings.model_validate({"data_root": bucket, "engine": "spark"})

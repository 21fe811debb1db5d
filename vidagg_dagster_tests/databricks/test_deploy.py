"""`vidagg databricks deploy` and the strictness of the workspace that the tests run against."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound
from databricks.sdk.errors.base import DatabricksError

from vidagg_dagster.cli.databricks import remove_leftovers
from vidagg_dagster.cli.main import main
from vidagg_dagster.core.errors import CommandFailedError, WheelError
from vidagg_dagster.databricks.wheel import (
    PIPES,
    installed_wheel_name,
    pack_installed,
    wheel_name,
)
from vidagg_dagster.settings import load_settings
from vidagg_dagster_tests.support.fake_databricks.catalog import USER
from vidagg_dagster_tests.support.fake_databricks.server import CLIENT_ID, CLIENT_SECRET, TOKEN
from vidagg_dagster_tests.support.fake_databricks.site import (
    CLUSTER,
    Databricks,
    configured,
    fake_wheel,
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Databricks]:
    with configured(tmp_path, monkeypatch) as running:
        yield running


@pytest.fixture
def a_wheel(tmp_path: Path) -> Path:
    return fake_wheel(tmp_path / "made", wheel_name(), "pass")


def deploy(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(["databricks", "deploy", *arguments])
    told = capsys.readouterr()
    return code, told.out + told.err


def test_the_wheel_is_uploaded_and_everything_is_found(
    place: Databricks, a_wheel: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = deploy(capsys, "--wheel", str(a_wheel))
    assert code == 0, told
    target = f"{place.volume}/wheels/{wheel_name()}"
    assert Path(target).read_bytes() == a_wheel.read_bytes()
    for line in (
        f"ok   credentials: {USER} at {place.workspace.address}",
        "ok   volume: main.video.vidagg can be written and read back",
        f"ok   wheel: uploaded {target}",
        "ok   schema: main.video is there",
        "ok   privileges: catalog main: its schemas can be used",
        "ok   privileges: schema main.video: tables can be created",
        "ok   privileges: table main.video.events: it can be read",
        "?    compute: serverless: known only once a step runs",
    ):
        assert line in told
    assert place.leftovers() == []
    assert not any("warehouse" in request for request in place.workspace.requests)

    code, told = deploy(capsys, "--wheel", str(a_wheel))
    assert code == 0
    assert "is there already" in told


def test_another_content_under_the_same_version_is_refused_unless_asked_for(
    place: Databricks, a_wheel: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = Path(f"{place.volume}/wheels/{wheel_name()}")
    target.parent.mkdir()
    target.write_bytes(b"old")
    code, told = deploy(capsys, "--wheel", str(a_wheel))
    assert code == 1
    assert "FAIL wheel" in told
    assert "Raise the version" in told
    assert target.read_bytes() == b"old"
    assert deploy(capsys, "--wheel", str(a_wheel), "--overwrite")[0] == 0
    assert target.read_bytes() == a_wheel.read_bytes()


@pytest.mark.parametrize(
    ("spoil", "line", "remedy"),
    [
        (
            lambda place: place.workspace.catalog.volumes.clear(),
            "FAIL volume: there is no volume main.video.vidagg",
            "databricks volumes create main video vidagg MANAGED",
        ),
        (
            lambda place: setattr(place.workspace.volumes, "read_only", True),
            "FAIL volume: main.video.vidagg cannot be written",
            "GRANT READ VOLUME, WRITE VOLUME ON VOLUME main.video.vidagg",
        ),
        (
            lambda place: place.workspace.catalog.catalogs.clear(),
            "FAIL catalog: there is no catalog main",
            "GRANT USE CATALOG ON CATALOG main",
        ),
        (
            lambda place: place.workspace.catalog.schemas.clear(),
            "FAIL schema: there is no schema main.video",
            "databricks schemas create video main",
        ),
        (
            lambda place: place.workspace.catalog.sources.clear(),
            "FAIL source: there is no table main.video.events, or you may not see it",
            "GRANT SELECT ON TABLE main.video.events TO `<who runs Dagster>`",
        ),
    ],
    ids=["no volume", "read-only volume", "no catalog", "no schema", "no source"],
)
def test_what_is_missing_is_named_with_its_remedy(
    place: Databricks,
    a_wheel: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Any,
    line: str,
    remedy: str,
) -> None:
    spoil(place)
    code, told = deploy(capsys, "--wheel", str(a_wheel))
    assert code == 1
    assert line in told
    assert remedy in told


def test_privileges_that_a_group_may_have_are_a_question_and_no_failure(
    place: Databricks, a_wheel: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place.workspace.catalog.privileges[:] = ["USE_SCHEMA"]
    code, told = deploy(capsys, "--wheel", str(a_wheel))
    assert code == 0
    assert f"?    privileges: CREATE TABLE on main.video is not granted to {USER}" in told
    assert f"-> GRANT CREATE TABLE ON SCHEMA main.video TO `{USER}`" in told
    place.workspace.catalog.others.clear()
    told = deploy(capsys, "--wheel", str(a_wheel))[1]
    assert f"-> GRANT USE CATALOG ON CATALOG main TO `{USER}`" in told
    assert f"-> GRANT SELECT ON TABLE main.video.events TO `{USER}`" in told
    place.workspace.catalog.owner = USER
    assert "ok   privileges: you own main.video" in deploy(capsys, "--wheel", str(a_wheel))[1]


@pytest.mark.parametrize(
    ("cluster", "code", "line"),
    [
        (CLUSTER, 0, f"ok   compute: cluster {CLUSTER} on 17.3.x-scala2.13"),
        ("0000-nowhere", 1, "FAIL compute: cluster 0000-nowhere"),
    ],
)
def test_an_existing_cluster_is_looked_up(
    place: Databricks,
    a_wheel: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    cluster: str,
    code: int,
    line: str,
) -> None:
    monkeypatch.setenv("VIDAGG_DATABRICKS_COMPUTE", "existing_cluster")
    monkeypatch.setenv("VIDAGG_DATABRICKS_CLUSTER_ID", cluster)
    assert place.workspace.requests == []
    got, told = deploy(capsys, "--wheel", str(a_wheel))
    assert (got, line in told) == (code, True), told


def test_a_refused_token_ends_the_checks(
    place: Databricks,
    a_wheel: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABRICKS_TOKEN", "expired")
    code, told = deploy(capsys, "--wheel", str(a_wheel))
    assert code == 1
    assert "FAIL credentials" in told
    assert told.count("FAIL") == 1
    assert "DATABRICKS_CLIENT_ID" in told
    assert "wheel" not in told
    assert "expired" not in told
    assert place.leftovers() == []


def as_service_principal(monkeypatch: pytest.MonkeyPatch, secret: str = CLIENT_SECRET) -> None:
    monkeypatch.delenv("DATABRICKS_TOKEN")
    monkeypatch.setenv("DATABRICKS_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("DATABRICKS_CLIENT_SECRET", secret)


def test_a_service_principal_deploys_with_its_client_id_and_secret(
    place: Databricks,
    a_wheel: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    as_service_principal(monkeypatch)
    code, told = deploy(capsys, "--wheel", str(a_wheel))
    assert code == 0, told
    assert "POST /oidc/v1/token" in place.workspace.requests


@pytest.mark.usefixtures("place")
def test_a_wrong_client_secret_is_told_as_refused_credentials(
    a_wheel: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The SDK raises a bare ValueError for it, at the first request."""
    as_service_principal(monkeypatch, "mistyped")
    code, told = deploy(capsys, "--wheel", str(a_wheel))
    assert code == 1
    assert "FAIL credentials" in told
    assert "invalid_client: no such client" in told
    assert "DATABRICKS_CLIENT_SECRET" in told
    assert "mistyped" not in told
    with pytest.raises(CommandFailedError, match="invalid_client"):
        remove_leftovers(load_settings(), 1, dry_run=True)


def test_a_trial_that_cannot_begin_is_told_with_its_reason(
    place: Databricks, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = fake_wheel(tmp_path / "broken", wheel_name(), "raise OSError('no such compute')")
    code, told = deploy(capsys, "--wheel", str(broken), "--try")
    assert code == 1
    assert "FAIL job: The Databricks task failed: OSError: no such compute" in told
    assert len(place.workspace.runs.all) == 1


def test_the_wheel_that_speaks_to_dagster_is_uploaded_too_and_pip_installs_it(
    place: Databricks, a_wheel: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Compute that reaches no PyPI installs it from the volume."""
    assert deploy(capsys, "--wheel", str(a_wheel))[0] == 0
    uploaded = Path(f"{place.volume}/wheels/{installed_wheel_name(PIPES)}")
    target = tmp_path / "installed"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-index", "--no-deps", "--target", str(target), str(uploaded)),
        ],
        # make names constraints by a path that counts from the repository.
        env={name: value for name, value in os.environ.items() if not name.startswith("PIP_")},
        check=True,
    )
    assert (target / "dagster_pipes" / "__init__.py").exists()
    again = pack_installed(PIPES, tmp_path)
    assert again.read_bytes() == uploaded.read_bytes()
    with pytest.raises(WheelError, match="pure Python"):
        pack_installed("numpy", tmp_path)


def test_a_wheel_of_another_version_is_refused(
    place: Databricks, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = fake_wheel(tmp_path / "other", "vidagg_dagster-9.9.9-py3-none-any.whl", "pass")
    code, told = deploy(capsys, "--wheel", str(other))
    assert code == 2
    assert wheel_name() in told
    code, told = deploy(capsys, "--wheel", str(tmp_path / "none.whl"))
    assert (code, "There is no wheel" in told) == (2, True)
    assert place.workspace.requests == []


def test_what_is_not_set_is_named_all_at_once(
    place: Databricks, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SOURCE", "DATABRICKS_SCHEMA", "DATABRICKS_VOLUME"):
        monkeypatch.delenv(f"VIDAGG_{name}")
    code, told = deploy(capsys)
    assert code == 2
    assert "3 settings are wrong" in told
    assert all(n in told for n in ("VIDAGG_SOURCE", "VIDAGG_DATABRICKS_SCHEMA", "_VOLUME"))
    monkeypatch.delenv("VIDAGG_TARGET")
    assert "VIDAGG_TARGET is not databricks" in deploy(capsys)[1]
    assert place.workspace.requests == []


# What follows is about the workspace of the tests: were it lax, they would prove little.


def call(place: Databricks, method: str, path: str, body: Any = None) -> int:
    request = urllib.request.Request(
        f"{place.workspace.address}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {TOKEN}"},
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_unknown_routes_and_wrong_versions_of_the_api_are_not_found(place: Databricks) -> None:
    assert call(place, "GET", "/api/2.0/preview/scim/v2/Me") == 200
    assert call(place, "GET", "/api/2.1/jobs/runs/get?run_id=1") == 404
    assert call(place, "GET", "/api/2.2/jobs/list") == 404
    assert call(place, "POST", "/api/2.0/fs/files/Volumes/a") == 404


def test_files_outside_its_volumes_are_not_served(place: Databricks) -> None:
    root = str(place.workspace.volumes.root)
    client = WorkspaceClient()
    for path in ("/etc/passwd", f"{root}/../../../etc/passwd", f"{root}/main/other/volume/x"):
        with pytest.raises(NotFound):
            client.files.download(path)
        assert call(place, "PUT", f"/api/2.0/fs/files{path}") == 404


GOOD: dict[str, Any] = {
    "run_name": "r",
    "tasks": [
        {
            "task_key": "t",
            "environment_key": "e",
            "python_wheel_task": {"package_name": "vidagg_dagster", "entry_point": "vidagg-step"},
        }
    ],
    "environments": [
        {"environment_key": "e", "spec": {"environment_version": "4", "dependencies": ["/x.whl"]}}
    ],
}


def spoiled(**changes: Any) -> dict[str, Any]:
    """GOOD with fields changed; `task_x` changes a field of the task, None removes one."""
    body = json.loads(json.dumps(GOOD))
    for name, value in changes.items():
        part = body["tasks"][0] if name.startswith("task_") else body
        part[name.removeprefix("task__")] = value
        if value is None:
            del part[name.removeprefix("task__")]
    return dict(body)


@pytest.mark.parametrize(
    "body",
    [
        spoiled(run_names="typo"),
        spoiled(tasks=[]),
        spoiled(task__python_wheel=1),
        spoiled(task__environment_key="other"),
        spoiled(task__environment_key=None),
        spoiled(task__task_key=None),
        spoiled(task__existing_cluster_id=CLUSTER),
        spoiled(task__libraries=[{"whl": "/x.whl"}]),
        spoiled(task__python_wheel_task={"package_name": "p"}),
        spoiled(task__environment_key=None, task__existing_cluster_id="nowhere"),
        spoiled(task__environment_key=None, task__new_cluster={"spark_version": "17.3"}),
        spoiled(environments=[{"environment_key": "e", "spec": {"dependencies": ["/x.whl"]}}]),
        spoiled(environments=[{"environment_key": "e", "sepc": {}}]),
        spoiled(idempotency_token="x" * 65),
    ],
)
def test_a_submission_that_databricks_would_refuse_is_refused(
    place: Databricks, body: dict[str, Any]
) -> None:
    assert call(place, "POST", "/api/2.2/jobs/runs/submit", body) == 400
    assert place.workspace.runs.all == {}


def test_a_good_submission_whose_wheel_is_missing_fails_when_it_is_installed(
    place: Databricks,
) -> None:
    assert call(place, "POST", "/api/2.2/jobs/runs/submit", GOOD) == 200
    client = WorkspaceClient()
    state = client.jobs.get_run(1).state
    assert state is not None
    assert "Library installation failed" in (state.state_message or "")
    with pytest.raises(DatabricksError, match="multiple tasks"):
        client.jobs.get_run_output(1)
    with pytest.raises(NotFound):
        client.jobs.get_run(2)

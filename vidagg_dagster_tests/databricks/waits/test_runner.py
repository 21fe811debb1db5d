"""A step as a Databricks job: what counts as done, and what is said of what does not.

Through the real SDK and the real Pipes client, against a workspace on the loopback address that
really runs the task. Where only the task's end matters, a small wheel of ours stands in for it.
"""

import json
import os
import signal
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.jobs import SubmitTask

from vidagg_dagster.core.contract import StepName
from vidagg_dagster.databricks.compute import DEFAULT_CLUSTER, Compute
from vidagg_dagster.databricks.failures import JOB_PAGE
from vidagg_dagster.databricks.runner import DatabricksSteps
from vidagg_dagster.databricks.submission import run_name
from vidagg_dagster.databricks.wheel import PIPES, installed_wheel_name, wheel_name
from vidagg_dagster.defs.assets import build_assets
from vidagg_dagster.quality.rules import RULES
from vidagg_dagster.settings import Settings
from vidagg_dagster.settings.databricks import DatabricksSettings
from vidagg_dagster_tests.support.fake_databricks.runs import Run
from vidagg_dagster_tests.support.fake_databricks.server import (
    CLIENT_ID,
    CLIENT_SECRET,
    TOKEN,
    Fault,
)
from vidagg_dagster_tests.support.fake_databricks.site import (
    CLUSTER,
    Databricks,
    databricks,
    fake_wheel,
)
from vidagg_dagster_tests.support.small_site import FIRST_DAY, Site, day

PATIENCE = 6.0
ASSETS = ("raw_events", "sessions")
SILENT = "pass"
SLEEPING = "import time\ntime.sleep(300)"
REPORTING = """
from dagster_pipes import (
    PipesCliArgsParamsLoader,
    PipesUnityCatalogVolumesContextLoader,
    PipesUnityCatalogVolumesMessageWriter,
    open_dagster_pipes,
)
with open_dagster_pipes(
    params_loader=PipesCliArgsParamsLoader(),
    context_loader=PipesUnityCatalogVolumesContextLoader(),
    message_writer=PipesUnityCatalogVolumesMessageWriter(interval=0),
) as pipes:
    request = pipes.get_extra("request")
    pipes.log.info("days " + " ".join(request["days"]))
    days = [{"day": d, "rows": 7} for d in request["days"]]
    RESULT
"""
HONEST = f"""rules = { ({table: [rule.name for rule in RULES[table]] for table in ASSETS})!r}
    told = [
        {{"rule": rule, "day": d, "passed": True}}
        for rule in rules[request["step"]]
        for d in request["days"]
    ]
    pipes.report_custom_message(
        {{"step": request["step"], "rows": 7, "days": days, "outcomes": told}}
    )"""
OTHER_DAYS = "pipes.report_custom_message({'step': request['step'], 'rows': 0, 'days': []})"
NO_RESULT = "pipes.report_custom_message({'rows': 'many'})"
WRONG_INPUT = "raise type('SourceError', (ValueError,), {})('Source not found: there is no /x')"
CRASH = "raise OSError('no space left')"


class Project:
    """Settings and an instance; the workspace is the fixture's."""

    def __init__(self, place: Databricks, instance: dg.DagsterInstance, folder: Path) -> None:
        self.place = place
        self.instance = instance
        self.folder = folder
        self.changed: dict[str, Any] = {}

    def deploy(self, code: str, result: str = "") -> None:
        """Put a wheel whose `vidagg-step` runs `code` where the real one would be."""
        folder = self.folder / uuid.uuid4().hex
        made = fake_wheel(folder, wheel_name(), code.replace("RESULT", result))
        self.place.put_wheel(made)

    def run(
        self, first: date = FIRST_DAY, last: date | None = None, after: str | None = None
    ) -> dg.ExecuteInProcessResult:
        settings = Settings(
            target="databricks",
            source="/events",
            start_date=FIRST_DAY,
            databricks=DatabricksSettings(
                schema="spark_catalog.video",
                volume=self.place.volume,
                retries=self.changed.pop("retries", 0),
                retry_seconds=0.1,
            ),
        )
        steps = DatabricksSteps(
            volume=self.place.volume,
            poll_seconds=0.2,
            patience_seconds=PATIENCE,
            **self.changed,
        )
        tags = {
            "dagster/asset_partition_range_start": first.isoformat(),
            "dagster/asset_partition_range_end": (last or first).isoformat(),
        }
        return dg.materialize(
            build_assets(settings),
            instance=self.instance,
            resources={"steps": steps},
            partition_key=None if last else first.isoformat(),
            tags={
                **(tags if last else {}),
                **({"dagster/parent_run_id": after, "dagster/root_run_id": after} if after else {}),
            },
            selection=list(ASSETS),
            raise_on_error=False,
        )

    @property
    def jobs(self) -> list[Run]:
        return list(self.place.workspace.runs.all.values())

    def spoil(self, method: str, path: str, **how: Any) -> None:
        self.place.workspace.faults.append(Fault(method, path, **how))

    def when_running(self, act: Callable[[Run], None]) -> threading.Thread:
        """Calls `act` once the first job's task runs."""

        def wait() -> None:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                if self.jobs and self.jobs[0].process and not self.jobs[0].ended:
                    time.sleep(1.0)  # the client has to see it running
                    act(self.jobs[0])
                    return
                time.sleep(0.05)

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        return thread


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    for name in [name for name in os.environ if name.startswith("DATABRICKS_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "dagster"
    home.mkdir()
    with (
        databricks(tmp_path / "workspace") as place,
        dg.DagsterInstance.local_temp(str(home)) as instance,
    ):
        for name, value in place.credentials.items():
            monkeypatch.setenv(name, value)
        yield Project(place, instance, tmp_path)


def failure(result: dg.ExecuteInProcessResult, asset: str = "raw_events") -> str:
    assert not result.success
    found = result.failure_data_for_node(asset)
    assert found is not None
    return str(found.error)


def failure_metadata(result: dg.ExecuteInProcessResult) -> Mapping[str, Any]:
    found = result.failure_data_for_node("raw_events")
    assert found is not None
    assert found.user_failure_data is not None
    return {name: value.value for name, value in found.user_failure_data.metadata.items()}


def materialized(result: dg.ExecuteInProcessResult) -> list[str]:
    return [
        f"{event.asset_key.to_user_string()} {event.partition}"
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    ]


def test_a_reported_result_makes_the_days_done_twice_in_one_process(project: Project) -> None:
    """A message reader of Pipes that is used again loses all messages of its second run."""
    project.deploy(REPORTING, HONEST)
    for first in (day(0), day(1)):
        result = project.run(first)
        assert materialized(result) == [f"raw_events {first}", f"sessions {first}"]
        (event,) = result.asset_materializations_for_node("raw_events")
        assert event.metadata["dagster/partition_row_count"].value == 7
        page = event.metadata[JOB_PAGE]
        assert isinstance(page, dg.UrlMetadataValue)
        assert page.url is not None
        assert page.url.startswith(project.place.workspace.address)
    assert len({job.submission.token for job in project.jobs}) == 4
    assert all(len(job.submission.token or "") <= 64 for job in project.jobs)
    assert project.place.leftovers() == []


def test_the_task_of_a_range_knows_its_days(project: Project) -> None:
    project.deploy(REPORTING, HONEST)
    result = project.run(day(0), day(2))
    assert materialized(result)[:3] == [f"raw_events {day(n)}" for n in range(3)]
    logged = project.instance.all_logs(result.run_id)
    told = f"days {day(0)} {day(1)} {day(2)}"
    assert any(told in entry.user_message for entry in logged)
    assert project.jobs[0].submission.run_name == (
        f"vidagg raw_events {day(0)} to {day(2)} (Dagster run {result.run_id})"
    )


def test_a_task_that_says_nothing_is_a_failed_step(project: Project) -> None:
    project.deploy(SILENT)
    result = project.run()
    assert "ended without reporting a result" in failure(result)
    assert materialized(result) == []
    assert len(project.jobs) == 1  # nothing downstream was submitted
    assert failure_metadata(result)[JOB_PAGE].endswith("/jobs/runs/1")


@pytest.mark.parametrize(
    ("reported", "said"),
    [(OTHER_DAYS, "raw_events of 0 days instead of raw_events of 1"), (NO_RESULT, "no result")],
)
def test_a_result_of_something_else_is_a_failed_step(
    project: Project, reported: str, said: str
) -> None:
    project.deploy(REPORTING, reported)
    result = project.run()
    assert said in failure(result)
    assert materialized(result) == []


def test_an_error_of_the_task_is_told_in_its_own_words_and_not_repeated(project: Project) -> None:
    project.changed["retries"] = 2
    project.deploy(REPORTING, WRONG_INPUT)
    result = project.run()
    assert "The Databricks task failed: SourceError: Source not found: there is no /x" in failure(
        result
    )
    trace = failure_metadata(result)["task_trace"]
    assert "Traceback" in trace
    assert "\x1b" not in trace
    assert materialized(result) == []
    assert len(project.jobs) == 1


def test_a_job_that_took_too_long_is_not_tried_again(project: Project) -> None:
    project.changed["retries"] = 2
    project.deploy(SLEEPING)

    def time_out(job: Run) -> None:
        job.timed_out = True
        kill(job)

    project.when_running(time_out)
    assert "Run timed out" in failure(project.run())
    assert len(project.jobs) == 1


def test_the_job_that_a_killed_run_left_is_cancelled_before_its_twin_starts(
    project: Project,
) -> None:
    started = project.folder / "started"
    project.deploy(f"open({str(started)!r}, 'a').write('x')\n{SLEEPING}")
    compute = Compute(kind="serverless", environment_version="4")
    client = WorkspaceClient()
    for run_id in ("other", "dead", "another"):
        client.jobs.submit(
            run_name=f"vidagg raw_events {day(0)} (Dagster run {run_id})",
            tasks=[compute.task(run_id, project.place.volume)],
            environments=compute.environments(project.place.volume),
        )
    deadline = time.monotonic() + 60
    while not started.exists() or len(started.read_text()) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    # They have read their wheel, so it can be replaced.
    project.deploy(REPORTING, HONEST)
    result = project.run(after="dead")
    assert materialized(result)
    assert [job.cancelled for job in project.jobs[:3]] == [False, True, False]
    assert project.jobs[1].ended
    logged = [entry.user_message for entry in project.instance.all_logs(result.run_id)]
    assert any("Cancelled Databricks job 2" in line for line in logged)


def kill(job: Run) -> None:
    assert job.process is not None
    os.killpg(job.process.pid, signal.SIGKILL)


def test_viewers_and_what_serverless_costs_are_asked_for(project: Project) -> None:
    project.changed.update(viewers=["data", "ops"], performance="standard", usage_policy="p-1")
    project.deploy(SILENT)
    project.run()
    body = project.jobs[0].submission.asked
    assert body["access_control_list"] == [
        {"group_name": group, "permission_level": "CAN_VIEW"} for group in ("data", "ops")
    ]
    assert (body["performance_target"], body["usage_policy_id"]) == ("STANDARD", "p-1")


def test_nothing_of_it_is_asked_for_unless_it_is_set(project: Project) -> None:
    project.deploy(SILENT)
    project.run()
    names = {"access_control_list", "performance_target", "usage_policy_id"}
    assert not names & set(project.jobs[0].submission.asked)


def test_a_token_service_that_fails_later_is_asked_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABRICKS_TOKEN")
    monkeypatch.setenv("DATABRICKS_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("DATABRICKS_CLIENT_SECRET", CLIENT_SECRET)
    project.place.workspace.token_life_s = 1  # so that nearly every call asks for a token
    project.deploy(REPORTING, HONEST)
    project.spoil("POST", "/oidc/v1/token", status=503, times=2, skip=2)
    result = project.run()
    assert materialized(result) == [f"raw_events {day(0)}", f"sessions {day(0)}"]
    assert project.place.workspace.faults[0].times == 0


def test_another_error_is_tried_again(project: Project) -> None:
    project.changed["retries"] = 1
    project.deploy(REPORTING, CRASH)
    assert "OSError: no space left" in failure(project.run())
    assert len(project.jobs) == 2
    assert len({job.submission.token for job in project.jobs}) == 2


def test_a_killed_task_is_a_failed_step(project: Project) -> None:
    project.deploy(SLEEPING)

    project.when_running(kill)
    result = project.run()
    assert "the driver was killed" in failure(result)
    assert materialized(result) == []


def test_a_job_cancelled_in_databricks_is_not_started_again(project: Project) -> None:
    project.changed["retries"] = 2
    project.deploy(SLEEPING)
    project.when_running(cancel_over_http(project))
    result = project.run()
    assert "The job was cancelled in Databricks" in failure(result)
    assert len(project.jobs) == 1


def cancel_over_http(project: Project) -> Callable[[Run], None]:
    def cancel(job: Run) -> None:
        request = urllib.request.Request(
            f"{project.place.workspace.address}/api/2.2/jobs/runs/cancel",
            data=json.dumps({"run_id": job.id}).encode(),
            headers={"Authorization": f"Bearer {TOKEN}"},
        )
        urllib.request.urlopen(request).close()

    return cancel


def test_a_terminated_run_cancels_the_job_and_leaves_the_day_undone(project: Project) -> None:
    """Left to itself the client would report success, and what is downstream would run."""
    project.deploy(SLEEPING)
    project.when_running(lambda _: os.kill(os.getpid(), signal.SIGINT))
    result = project.run()
    assert not result.success
    assert materialized(result) == []
    (job,) = project.jobs
    assert job.state()["result_state"] == "CANCELED"
    assert job.ended
    assert "The run was terminated" in failure(result)


def test_terminated_while_the_submission_is_unanswered_the_job_is_cancelled(
    project: Project,
) -> None:
    project.deploy(SLEEPING)
    project.spoil("POST", "/runs/submit", hang=6.0)
    project.when_running(lambda _: os.kill(os.getpid(), signal.SIGINT))
    assert not project.run().success
    (job,) = project.jobs
    assert job.cancelled


def test_a_workspace_that_stumbles_is_asked_again(project: Project) -> None:
    project.deploy(REPORTING, HONEST)
    project.spoil("HEAD", "/fs/files", status=500)
    project.spoil("PUT", "/fs/directories", status=500)
    project.spoil("PUT", "/fs/files", status=503)
    project.spoil("POST", "/runs/submit", status=500)
    project.spoil("POST", "/runs/submit", drop=True)
    project.spoil("GET", "/runs/get$", status=500, times=2)
    project.spoil("GET", "/runs/get$", status=429, headers={"Retry-After": "1"})
    project.spoil("GET", "/runs/get$", delay=2.0)
    project.spoil("DELETE", "/fs/", status=500)
    result = project.run()
    assert materialized(result) == [f"raw_events {day(0)}", f"sessions {day(0)}"]
    submissions = project.place.workspace.requests.count("POST /api/2.2/jobs/runs/submit")
    assert submissions >= 4  # one was refused, one answered into a closed connection
    assert len(project.jobs) == 2  # and yet each step ran once
    assert all(fault.times == 0 for fault in project.place.workspace.faults)
    assert project.place.leftovers() == []


def test_a_workspace_that_stays_silent_fails_the_step_and_stops_the_job(project: Project) -> None:
    project.deploy(SLEEPING)
    project.spoil("GET", "/runs/get$", status=500, times=10_000)
    # Its first questions are answered, so that the job is known.
    project.place.workspace.faults[0].times = 0
    project.when_running(lambda _: setattr(project.place.workspace.faults[0], "times", 10_000))
    result = project.run()
    assert "gives no answers about the job 1" in failure(result)
    assert project.jobs[0].cancelled


def test_without_a_deployed_wheel_nothing_is_submitted(project: Project) -> None:
    result = project.run()
    assert wheel_name() in failure(result)
    assert "vidagg databricks deploy" in failure(result)
    assert project.jobs == []


def test_without_credentials_it_is_said_which(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABRICKS_HOST")
    monkeypatch.delenv("DATABRICKS_TOKEN")
    assert "Set DATABRICKS_HOST and either" in failure(project.run())
    assert project.place.workspace.requests == []


def test_a_refused_token_is_told_before_anything_is_submitted(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_TOKEN", "expired")
    assert "does not let us look for" in failure(project.run())
    assert project.jobs == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"compute_kind": "existing_cluster", "cluster_id": CLUSTER}, "existing_cluster_id"),
        ({"compute_kind": "job_cluster", "job_cluster": {"node_type_id": "m"}}, "new_cluster"),
    ],
)
def test_a_cluster_is_asked_for_instead_of_serverless(
    project: Project, changed: dict[str, Any], expected: str
) -> None:
    project.changed.update(changed)
    project.deploy(REPORTING, HONEST)
    assert materialized(project.run())
    submission = project.jobs[0].submission
    assert list(submission.compute) == [expected]
    assert submission.environment is None


def test_a_cluster_that_is_not_there_is_an_error_of_the_submission(project: Project) -> None:
    project.changed.update(compute_kind="existing_cluster", cluster_id="0000-nowhere")
    project.deploy(REPORTING, HONEST)
    assert "The job could not be submitted: Cluster 0000-nowhere does not exist" in failure(
        project.run()
    )


def compute(**values: Any) -> Compute:
    return Compute(kind="job_cluster", environment_version="4", **values)


def test_a_new_cluster_is_the_default_changed_by_the_setting() -> None:
    spec = compute(job_cluster={"node_type_id": "m", "num_workers": 3}).cluster()
    assert spec == {
        **{name: value for name, value in DEFAULT_CLUSTER.items() if name != "autoscale"},
        "node_type_id": "m",
        "num_workers": 3,
    }
    assert compute(job_cluster={"node_type_id": "m"}).cluster()["autoscale"] == {
        "min_workers": 2,
        "max_workers": 8,
    }


def test_a_new_cluster_carries_the_tags_of_its_cost_beside_those_of_the_setting() -> None:
    one = compute(job_cluster={"node_type_id": "m", "custom_tags": {"team": "video"}})
    tags = {"asset": "sessions", "partition": "2026-01-05", "dagster_run": "x"}
    asked = one.task("sessions", "/Volumes/a/b/c", tags).new_cluster
    assert asked is not None
    assert asked.custom_tags == {"application": "vidagg", "team": "video", **tags}
    own = compute(job_cluster={"node_type_id": "m", "custom_tags": {"application": "other"}})
    assert own.cluster()["custom_tags"] == {"application": "other"}


@pytest.mark.parametrize(
    ("setting", "applied"),
    [
        ({"policy_id": "x"}, True),
        ({"policy_id": "x", "node_type_id": "m"}, None),
        ({"policy_id": "x", "instance_pool_id": "p"}, None),
        ({"policy_id": "x", "apply_policy_default_values": False}, False),
    ],
)
def test_the_defaults_of_a_policy_are_applied_where_no_machine_is_named(
    setting: dict[str, Any], applied: bool | None
) -> None:
    assert compute(job_cluster=setting).cluster().get("apply_policy_default_values") is applied


def test_a_task_survives_the_way_through_the_sdks_types() -> None:
    task = compute(job_cluster={"node_type_id": "m"}).task("sessions", "/Volumes/a/b/c")
    assert SubmitTask.from_dict(task.as_dict()).as_dict() == task.as_dict()
    assert task.libraries is not None
    names = (installed_wheel_name(PIPES), wheel_name())
    assert [one.whl for one in task.libraries] == [f"/Volumes/a/b/c/wheels/{n}" for n in names]


def test_the_lifetime_step_has_no_days_in_its_name(tmp_path: Path) -> None:
    request = Site(tmp_path).request(StepName.AGGREGATED_ENGAGEMENT, [])
    assert run_name(request, "r") == "vidagg aggregated_user_video_engagement (Dagster run r)"

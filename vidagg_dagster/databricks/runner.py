"""Each step as a job on Databricks: a Python wheel task that talks to Dagster through Pipes.

The client of dagster-databricks has four traps, and this module avoids all of them. When it is
interrupted, it cancels the job and reports success. Its message reader works for one run only. A
task without messages counts as done. The days of a range do not reach the task.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

import dagster as dg
from dagster_databricks.pipes import (
    PipesDatabricksServerlessClient,
    PipesUnityCatalogVolumesMessageReader,
)
from databricks.sdk.errors import NotFound, PermissionDenied, Unauthenticated
from databricks.sdk.service.files import FilesAPI
from databricks.sdk.service.jobs import Run
from pydantic import Field, ValidationError

from vidagg_dagster.core.contract import REQUEST, StepRequest, StepResult
from vidagg_dagster.core.errors import CredentialsError
from vidagg_dagster.core.unity_catalog import pipes_folder, scratch_folder
from vidagg_dagster.databricks.compute import Compute, wheel_paths
from vidagg_dagster.databricks.failures import failure, job_links, job_pages
from vidagg_dagster.databricks.submission import (
    common_fields,
    cost_tags,
    idempotency_token,
    live_run_name,
    run_name,
    serverless_fields,
)
from vidagg_dagster.databricks.trial import TRIAL, Trial, TrialFinding, TrialReport
from vidagg_dagster.databricks.workspace import PATIENCE, StepJobs, StepWorkspace
from vidagg_dagster.live.contract import LIVE, LiveReport, LiveTask

_EARLIER_RUNS: Final = ("dagster/root_run_id", "dagster/parent_run_id")


@dataclass(frozen=True)
class _Task:
    """What a job is asked for: the key of its task, its name, what reaches it, and its tags."""

    key: str
    name: str
    extras: Mapping[str, Any]
    tags: Mapping[str, str]


class DatabricksSteps(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Runs each step as a Databricks job and waits for it.

    The Databricks SDK looks for credentials when a step runs, in the environment and its own files.
    """

    volume: str = Field(description="Unity Catalog volume, or a folder in one.")
    compute_kind: str = Field(default="serverless", description="See VIDAGG_DATABRICKS_COMPUTE.")
    environment_version: str = "4"
    job_cluster: dict[str, Any] = Field(default_factory=dict)
    cluster_id: str | None = None
    viewers: list[str] = Field(default_factory=list, description="Groups that may see the jobs.")
    performance: str | None = Field(default=None, description="See VIDAGG_DATABRICKS_PERFORMANCE.")
    usage_policy: str | None = Field(default=None, description="Id of a serverless usage policy.")
    timeout_minutes: int = 360
    poll_seconds: float = 5.0
    patience_seconds: float = Field(
        default=PATIENCE.total_seconds(),
        description="How long calls are repeated while the workspace answers with errors.",
    )

    @property
    def compute(self) -> Compute:
        """The compute of all steps."""
        return Compute(
            kind=self.compute_kind,
            environment_version=self.environment_version,
            job_cluster=self.job_cluster,
            cluster_id=self.cluster_id,
        )

    def run(self, context: dg.AssetExecutionContext, request: StepRequest) -> StepResult:
        """Submit the job, wait for its end, and give the result that its task reported.

        Raises:
            dagster.Failure: There is no result; the message is that of the task or the workspace.
            dagster.DagsterExecutionInterruptedError: The run was terminated.
        """
        request = request.model_copy(update={"scratch": scratch_folder(self.volume)})
        workspace = self._workspace(context)
        self._require_wheels(workspace)
        _cancel_twins(context, partial(run_name, request), workspace.jobs)
        task = _Task(
            key=str(request.step),
            name=run_name(request, context.run.run_id),
            extras={REQUEST: request.model_dump(mode="json")},
            tags=cost_tags(context, request),
        )
        return _result(request, self._messages(context, task, workspace), workspace.jobs)

    def keep_live(self, context: dg.AssetExecutionContext, task: LiveTask) -> LiveReport:
        """Submit the job that keeps live tables, wait for its end, and give its report.

        Raises:
            dagster.Failure: There is no report; the message is that of the task or the workspace.
            dagster.DagsterExecutionInterruptedError: The run was terminated.
        """
        scratch = task.request.model_copy(update={"scratch": scratch_folder(self.volume)})
        workspace = self._workspace(context)
        self._require_wheels(workspace)
        _cancel_twins(context, live_run_name, workspace.jobs)
        job = _Task(
            key=LIVE,
            name=live_run_name(context.run.run_id),
            extras={LIVE: task.model_copy(update={"request": scratch}).model_dump(mode="json")},
            tags={"asset": LIVE, "dagster_run": context.run.run_id},
        )
        messages = self._messages(context, job, workspace)
        return LiveReport.model_validate(_last(messages, workspace.jobs))

    def try_out(self, context: dg.AssetExecutionContext, trial: Trial) -> tuple[TrialFinding, ...]:
        """Submit one short job that tries what steps will need; see `trial`.

        Raises:
            dagster.Failure: It could not even begin.
        """
        workspace = self._workspace(context)
        self._require_wheels(workspace)
        task = _Task(
            key=TRIAL,
            name=f"vidagg {TRIAL} (Dagster run {context.run.run_id})",
            extras={TRIAL: trial.model_dump(mode="json")},
            tags={"asset": TRIAL, "dagster_run": context.run.run_id},
        )
        messages = self._messages(context, task, workspace)
        if not messages:
            raise dg.Failure("The job ended without a report.", metadata=job_pages(workspace.jobs))
        return TrialReport.model_validate(messages[-1]).findings

    def _messages(
        self, context: dg.AssetExecutionContext, task: _Task, workspace: StepWorkspace
    ) -> Sequence[Any]:
        """Run the job to its end; gives what its task reported."""
        jobs = workspace.jobs
        try:
            messages = self._submit(context, task, workspace)
        except Exception as error:  # of the SDK, its HTTP client or Pipes
            raise failure(jobs, error) from error
        finally:
            # Does nothing after a normal end. After any other end, the job must not go on writing
            # while the step is tried again.
            jobs.stop()
        if jobs.interrupted:
            raise dg.DagsterExecutionInterruptedError(
                "The run was terminated; the job is cancelled, and its days do not count as done."
            )
        return messages

    def _workspace(self, context: dg.AssetExecutionContext) -> StepWorkspace:
        def announce(run: Run) -> None:
            context.log.info(f"Databricks job {run.run_id}: {run.run_page_url}")

        try:
            return StepWorkspace(announce, timedelta(seconds=self.patience_seconds))
        except CredentialsError as error:
            raise dg.Failure(str(error), allow_retries=error.retryable) from error

    def _require_wheels(self, workspace: StepWorkspace) -> None:
        # Ours first: where nothing was deployed, that is the one to name.
        for path in reversed(wheel_paths(self.volume)):
            self._require_wheel(workspace, path)

    def _require_wheel(self, workspace: StepWorkspace, path: str) -> None:
        try:
            FilesAPI(workspace.api_client).get_metadata(path)  # type: ignore[no-untyped-call]
        except NotFound as error:
            raise dg.Failure(
                f"There is no {path} in the workspace {workspace.config.host}. Run `vidagg "
                "databricks deploy` with the version of vidagg_dagster that Dagster uses.",
                allow_retries=False,
            ) from error
        except OSError as error:
            raise dg.Failure(
                f"The workspace {workspace.config.host} does not let us look for {path}: {error}",
                allow_retries=not isinstance(error, PermissionDenied | Unauthenticated),
            ) from error

    def _submit(
        self, context: dg.AssetExecutionContext, task: _Task, workspace: StepWorkspace
    ) -> Sequence[Any]:
        volume = pipes_folder(self.volume)
        client = PipesDatabricksServerlessClient(
            client=workspace,
            volume_path=volume,
            message_reader=PipesUnityCatalogVolumesMessageReader(
                client=workspace, volume_path=volume, interval=self.poll_seconds
            ),
            poll_interval_seconds=self.poll_seconds,
        )
        submission = {
            "run_name": task.name,
            "idempotency_token": idempotency_token(context),
            "environments": self.compute.environments(self.volume),
            **common_fields(self.viewers, self.timeout_minutes),
        }
        if self.compute_kind == "serverless":
            submission |= serverless_fields(self.performance, self.usage_policy)
        invocation = client.run(
            context=context,
            extras=task.extras,
            task=self.compute.task(task.key, self.volume, task.tags),
            submit_args=submission,
        )
        return invocation.get_custom_messages()


def _cancel_twins(
    context: dg.AssetExecutionContext, name_of: Callable[[str], str], jobs: StepJobs
) -> None:
    """Cancel jobs of this step that earlier runs of the same chain of retries left running.

    `name_of` gives the name of the job by the id of Dagster's run.
    """
    tags = context.run.tags
    earlier = {tags[name] for name in _EARLIER_RUNS if name in tags}
    if not earlier:
        return
    try:
        for twin in jobs.cancel_twins([name_of(run_id) for run_id in earlier]):
            context.log.info(f"Cancelled Databricks job {twin}, which an earlier run left running.")
    except OSError as error:
        raise dg.Failure(
            f"It is unknown whether a job of an earlier run goes on: {error}"
        ) from error


def _last(messages: Sequence[Any], jobs: StepJobs) -> Any:
    """What the task reported at its end."""
    if not messages:
        raise dg.Failure(
            "The task ended without reporting a result, so its days do not count as done. Look at "
            "its output on the job's page; is the wheel on the volume of this version?",
            metadata=job_pages(jobs),
        )
    return messages[-1]


def _result(request: StepRequest, messages: Sequence[Any], jobs: StepJobs) -> StepResult:
    try:
        result = StepResult.model_validate(_last(messages, jobs))
    except ValidationError as error:
        raise dg.Failure(
            f"The task's report is no result of a step: {error}. Deploy the wheel of this "
            "version: vidagg databricks deploy",
            metadata=job_pages(jobs),
            allow_retries=False,
        ) from error
    done = {day.day for day in result.days}
    if result.step != request.step or not done.issuperset(request.days):
        raise dg.Failure(
            f"The task reported {result.step} of {len(done)} days instead of {request.step} of "
            f"{len(set(request.days))}.",
            metadata=job_pages(jobs),
            allow_retries=False,
        )
    return result.model_copy(update={"links": job_links(jobs)})

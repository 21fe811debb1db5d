"""Each step as a job on Databricks: a Python wheel task that talks to Dagster through Pipes.

The client of dagster-databricks has four traps, and this module avoids all of them. When it is
interrupted, it cancels the job and reports success. Its message reader works for one run only. A
task without messages counts as done. The days of a range do not reach the task.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

import dagster as dg
from dagster_databricks.pipes import (
    PipesDatabricksServerlessClient,
    PipesUnityCatalogVolumesMessageReader,
)
from databricks.sdk.errors import NotFound
from databricks.sdk.service.files import FilesAPI
from databricks.sdk.service.jobs import QueueSettings, Run
from pydantic import Field, ValidationError

from vidagg_dagster.core.contract import REQUEST, StepRequest, StepResult
from vidagg_dagster.core.days import days_text
from vidagg_dagster.core.errors import CredentialsError, VidaggError
from vidagg_dagster.core.unity_catalog import pipes_folder, scratch_folder
from vidagg_dagster.databricks.compute import Compute, wheel_path
from vidagg_dagster.databricks.workspace import PATIENCE, StepJobs, StepWorkspace

JOB_PAGE: Final = "databricks_job"
"""Name of the link to the job's page, in the metadata of what a step materialized."""

MAX_TRACE_CHARACTERS: Final = 4000
"""How much of a task's traceback is shown, counted from its end."""


class DatabricksSteps(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Runs each step as a Databricks job and waits for it.

    The Databricks SDK looks for credentials when a step runs, in the environment and its own files.
    """

    volume: str = Field(description="Unity Catalog volume, or a folder in one.")
    compute_kind: str = Field(default="serverless", description="See VIDAGG_DATABRICKS_COMPUTE.")
    environment_version: str = "4"
    job_cluster: dict[str, Any] = Field(default_factory=dict)
    cluster_id: str | None = None
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
        self._require_wheel(workspace)
        jobs = workspace.jobs
        try:
            messages = self._run(context, request, workspace)
        except Exception as error:  # of the SDK, its HTTP client or Pipes
            raise _failure(jobs, error) from error
        finally:
            # Does nothing after a normal end. After any other end, the job must not go on writing
            # while the step is tried again.
            jobs.stop()
        if jobs.interrupted:
            raise dg.DagsterExecutionInterruptedError(
                "The run was terminated; the job is cancelled, and its days do not count as done."
            )
        return _result(request, messages, jobs)

    def _workspace(self, context: dg.AssetExecutionContext) -> StepWorkspace:
        def announce(run: Run) -> None:
            context.log.info(f"Databricks job {run.run_id}: {run.run_page_url}")

        try:
            return StepWorkspace(announce, timedelta(seconds=self.patience_seconds))
        except CredentialsError as error:
            raise dg.Failure(str(error), allow_retries=error.retryable) from error

    def _require_wheel(self, workspace: StepWorkspace) -> None:
        path = wheel_path(self.volume)
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
                f"The workspace {workspace.config.host} does not let us look for {path}: {error}"
            ) from error

    def _run(
        self, context: dg.AssetExecutionContext, request: StepRequest, workspace: StepWorkspace
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
        submission: dict[str, Any] = {
            "run_name": run_name(request, context.run.run_id),
            "idempotency_token": idempotency_token(context),
            "timeout_seconds": self.timeout_minutes * 60,
            "queue": QueueSettings(enabled=True),
            "environments": self.compute.environments(self.volume),
        }
        invocation = client.run(
            context=context,
            extras={REQUEST: request.model_dump(mode="json")},
            task=self.compute.task(str(request.step), self.volume),
            submit_args=submission,
        )
        return invocation.get_custom_messages()


def run_name(request: StepRequest, run_id: str) -> str:
    """The job's name in Databricks: step, days and Dagster's run."""
    parts = ["vidagg", request.step, days_text(request.days), f"(Dagster run {run_id})"]
    return " ".join(part for part in parts if part)


def idempotency_token(context: dg.AssetExecutionContext) -> str:
    """Equal for every submission of one attempt of a step, at most 64 characters.

    A submission whose answer got lost is sent again, and must not start a second job.
    """
    attempt = f"{context.run.run_id}/{context.op_handle}/{context.retry_number}"
    return hashlib.sha256(attempt.encode()).hexdigest()


def may_succeed_again(text: str) -> bool:
    """Whether a task that ended with this error text may succeed if it is run again.

    The text is `ErrorClass: message`. An error that the package does not know may be anything, so
    it is retried.
    """
    name = text.partition(":")[0].strip()
    hopeless = {error.__name__ for error in _subclasses(VidaggError) if not error.retryable}
    # The package or a part of it is not installed on the cluster.
    return name not in hopeless | {ModuleNotFoundError.__name__}


def _subclasses(error: type[VidaggError]) -> Iterator[type[VidaggError]]:
    """The class, and all classes below it."""
    yield error
    for below in error.__subclasses__():
        yield from _subclasses(below)


def _result(request: StepRequest, messages: Sequence[Any], jobs: StepJobs) -> StepResult:
    if not messages:
        raise dg.Failure(
            "The task ended without reporting a result, so its days do not count as done. Look at "
            "its output on the job's page; is the wheel on the volume of this version?",
            metadata=_pages(jobs),
        )
    try:
        result = StepResult.model_validate(messages[-1])
    except ValidationError as error:
        raise dg.Failure(
            f"The task's report is no result of a step: {error}. Deploy the wheel of this "
            "version: vidagg databricks deploy",
            metadata=_pages(jobs),
            allow_retries=False,
        ) from error
    done = {day.day for day in result.days}
    if result.step != request.step or done != set(request.days):
        raise dg.Failure(
            f"The task reported {result.step} of {len(done)} days instead of {request.step} of "
            f"{len(set(request.days))}.",
            metadata=_pages(jobs),
            allow_retries=False,
        )
    return result.model_copy(update={"links": _links(jobs)})


def _failure(jobs: StepJobs, error: Exception) -> dg.Failure:
    """The task's own error if there is one, else the error of the workspace."""
    if jobs.submitted is None:
        return dg.Failure(f"The job could not be submitted: {error}")
    try:
        cancelled = jobs.was_cancelled()
        text, trace = jobs.error_text()
    except OSError:
        return dg.Failure(
            f"The workspace gives no answers about the job {jobs.submitted} any more: {error}. "
            "It is being cancelled, and may still be running."
        )
    if cancelled:
        return dg.Failure(
            f"The job was cancelled in Databricks: {text}",
            metadata=_pages(jobs),
            allow_retries=False,
        )
    metadata = dict(_pages(jobs))
    if trace:
        metadata["task_trace"] = dg.MetadataValue.md(fenced(trace[-MAX_TRACE_CHARACTERS:]))
    return dg.Failure(
        f"The Databricks task failed: {text or error}",
        metadata=metadata,
        allow_retries=may_succeed_again(text),
    )


def fenced(text: str) -> str:
    """Text as a block of Markdown that the text itself cannot end, whatever is in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _links(jobs: StepJobs) -> dict[str, str]:
    page = jobs.page()
    return {JOB_PAGE: page} if page else {}


def _pages(jobs: StepJobs) -> dict[str, dg.MetadataValue[Any]]:
    return {name: dg.MetadataValue.url(page) for name, page in _links(jobs).items()}

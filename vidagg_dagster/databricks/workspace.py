"""The API of a workspace for one step: patient with failures, and aware of the submitted job."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import Any, BinaryIO, Final

from databricks.sdk import WorkspaceClient
from databricks.sdk.core import ApiClient, Config
from databricks.sdk.errors import (
    DeadlineExceeded,
    InternalError,
    OperationFailed,
    TemporarilyUnavailable,
    TooManyRequests,
    Unauthenticated,
)
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.mixins.jobs import JobsExt
from databricks.sdk.retries import retried
from databricks.sdk.service.jobs import (
    Run,
    RunLifeCycleState,
    RunResultState,
    RunType,
    TerminationCodeCode,
    TerminationDetails,
    TerminationTypeType,
)
from requests import exceptions as http

from vidagg_dagster.core.errors import CredentialsError

PATIENCE: Final = timedelta(minutes=10)
"""How long calls are repeated while the workspace answers with errors of its own."""

_TRANSIENT: Final = (
    InternalError,
    TemporarilyUnavailable,
    TooManyRequests,
    DeadlineExceeded,
    http.ConnectionError,
    http.Timeout,
    TimeoutError,  # the SDK gave up on one call
)

_OF_THE_PLATFORM: Final = (TerminationTypeType.INTERNAL_ERROR, TerminationTypeType.CLOUD_FAILURE)
_PASSING: Final = (
    TerminationCodeCode.DRIVER_ERROR,
    TerminationCodeCode.CLUSTER_REQUEST_LIMIT_EXCEEDED,
    TerminationCodeCode.WORKSPACE_RUN_LIMIT_EXCEEDED,
)
_CANCEL_WAIT: Final = timedelta(minutes=5)
_JSON: Final = {"Accept": "application/json", "Content-Type": "application/json"}
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")

ENDED: Final = frozenset(
    {
        RunLifeCycleState.TERMINATING,
        RunLifeCycleState.TERMINATED,
        RunLifeCycleState.SKIPPED,
        RunLifeCycleState.INTERNAL_ERROR,
    }
)
"""States of a run whose task no longer executes."""


class PatientApi(ApiClient):
    """Repeats a call that the workspace failed to serve, until `patience` ends.

    The SDK repeats only 429, 503 and lost connections. With the SDK alone, one answer of 500 while
    a job runs would fail the step and leave the job running. Every call of a step may be repeated:
    a submission carries a token.
    """

    def __init__(self, config: Config, patience: timedelta) -> None:
        super().__init__(config)
        self._patience = patience

    @contextmanager
    def once(self) -> Iterator[None]:
        """Within the block, a call that fails is not repeated here."""
        patience, self._patience = self._patience, timedelta(seconds=0.01)
        try:
            yield
        finally:
            self._patience = patience

    def do(self, *args: Any, data: BinaryIO | None = None, **kwargs: Any) -> Any:
        """See `ApiClient.do`."""
        start = data.tell() if data is not None and data.seekable() else None

        def rewind() -> None:
            if data is not None and start is not None:
                data.seek(start)

        call = retried(on=_TRANSIENT, timeout=self._patience, before_retry=rewind)(super().do)
        return call(*args, data=data, **kwargs)


@dataclass(frozen=True)
class Submitted:
    """What a Pipes client asks of a submission: the id of its run."""

    run_id: int

    def bind(self) -> dict[str, int]:
        """See `Wait.bind` of the SDK."""
        return {"run_id": self.run_id}


class StepJobs(JobsExt):
    """The Jobs API, which remembers the job that a Pipes client submits for one step."""

    def __init__(self, api_client: PatientApi, on_submit: Callable[[Run], None]) -> None:
        super().__init__(api_client)  # type: ignore[no-untyped-call]
        self._patient = api_client
        self._on_submit = on_submit
        self.submitted: int | None = None
        """The id of the run; None before the submission is answered."""
        self._page: str | None = None
        self._unanswered: dict[str, Any] | None = None
        self.interrupted = False
        """Whether the client has cancelled the run. It does so only when it is interrupted."""

    def submit(self, **kwargs: Any) -> Any:
        """See `JobsAPI.submit`; newer fields of the API than the SDK's are passed on."""
        self._unanswered = {name: _as_json(value) for name, value in kwargs.items()}
        try:
            self.submitted = self._submit(self._unanswered)
        except DatabricksError:
            self._unanswered = None
            raise
        run = self.get_run(self.submitted)
        self._page = run.run_page_url
        self._on_submit(run)
        return Submitted(self.submitted)

    def _submit(self, body: Mapping[str, Any]) -> int:
        sent = {name: value for name, value in body.items() if value is not None}
        answer = self._patient.do("POST", "/api/2.2/jobs/runs/submit", body=sent, headers=_JSON)
        return int(answer["run_id"])

    def cancel_twins(self, names: Collection[str]) -> Iterator[int]:
        """Cancel active runs of these names, wait for their ends, and give their ids.

        A Dagster that was killed could not cancel its job.
        """
        for run in self.list_runs(active_only=True, run_type=RunType.SUBMIT_RUN):
            if run.run_name in names and run.run_id is not None:
                # INTERNAL_ERROR is an end too.
                with suppress(OperationFailed):
                    super().cancel_run(run.run_id).result(timeout=_CANCEL_WAIT)
                yield run.run_id

    def page(self) -> str | None:
        """The address of the submitted run's page."""
        return self._page

    def cancel_run(self, run_id: int) -> Any:
        """See `JobsAPI.cancel_run`."""
        self.interrupted = True
        return super().cancel_run(run_id)

    def stop(self) -> None:
        """Cancel the submitted run unless it has ended, or if its state cannot be read.

        No call is repeated, because the caller has already waited. Without an answer the run is
        left running.
        """
        if self.submitted is None and self._unanswered is not None:
            # The submission was interrupted. Sent again, its token gives the run that it started.
            with suppress(OSError), self._patient.once():
                self.submitted = self._submit(self._unanswered)
        if self.submitted is None:
            return
        with suppress(OSError), self._patient.once():
            state = self.get_run(self.submitted).state
            if state is not None and state.life_cycle_state in ENDED:
                return
        with suppress(OSError), self._patient.once():
            super().cancel_run(self.submitted)

    def was_cancelled(self) -> bool:
        """Whether someone cancelled the submitted run."""
        if self.submitted is None:
            return False
        state = self.get_run(self.submitted).state
        return state is not None and state.result_state is RunResultState.CANCELED

    def termination(self) -> TerminationDetails | None:
        """Why the submitted run ended; None before it has."""
        status = None if self.submitted is None else self.get_run(self.submitted).status
        return status.termination_details if status is not None else None

    def error_text(self) -> tuple[str, str]:
        """The task's error and its traceback; without an error, the message of the run's state."""
        if self.submitted is None:
            return "", ""
        run = self.get_run(self.submitted)
        # Output belongs to the run of a task. The run of the job refuses to give any.
        task = run.tasks[-1].run_id if run.tasks else None
        output = self.get_run_output(task) if task is not None else None
        message = run.state.state_message if run.state else None
        error = output.error if output is not None else None
        trace = output.error_trace if output is not None else None
        return plain(error or message or "").strip(), plain(trace or "").strip()


def _as_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_json(one) for one in value]
    return value.as_dict() if hasattr(value, "as_dict") else value


def plain(text: str) -> str:
    """Without the colours of a terminal, which traces of Python tasks carry."""
    return _COLOURS.sub("", text)


def platform_fault(ended: TerminationDetails | None) -> bool | None:
    """Whether the platform made a run fail, so that another may succeed; None if its task failed.

    See "TerminationDetails" of the Jobs API. A run that took too long would do so again.
    """
    if ended is None or ended.code is TerminationCodeCode.RUN_EXECUTION_ERROR:
        return None
    if ended.code is TerminationCodeCode.CANCELED:
        return False
    return ended.code in _PASSING or ended.type in _OF_THE_PLATFORM


class StepWorkspace(WorkspaceClient):
    """A workspace's API for one step.

    Raises:
        CredentialsError: The SDK finds no usable credentials.
    """

    def __init__(self, on_submit: Callable[[Run], None], patience: timedelta = PATIENCE) -> None:
        super().__init__(config=usable_config())
        self._patient = PatientApi(self.config, patience)
        self._step_jobs = StepJobs(self._patient, on_submit)

    @property
    def api_client(self) -> ApiClient:
        """The client through which Pipes makes all calls."""
        return self._patient

    @property
    def jobs(self) -> StepJobs:
        """The Jobs API of the step."""
        return self._step_jobs


class CheckedConfig(Config):
    """A configuration whose token service fails as the rest of the workspace does.

    The SDK raises `ValueError` for a wrong client secret, and also for a token service that is
    down when a token is renewed after an hour.
    """

    _had_a_token = False

    def authenticate(self) -> dict[str, str]:
        """See `Config.authenticate`.

        Raises:
            Unauthenticated: The first token is refused.
            TemporarilyUnavailable: A token was given before, so that asking again may help.
        """
        try:
            headers = super().authenticate()
        except ValueError as error:
            kind = TemporarilyUnavailable if self._had_a_token else Unauthenticated
            raise kind(f"no token from the workspace: {error}") from error
        self._had_a_token = True
        return headers


def usable_config() -> Config:
    """The configuration that the SDK finds in the environment and in its own files.

    Raises:
        CredentialsError: It finds no usable credentials.
    """
    Config.attributes()  # read from the class itself, which a subclass does not repeat
    try:
        return CheckedConfig(product="vidagg", product_version=version("vidagg_dagster"))
    except ValueError as error:
        raise CredentialsError(
            f"No usable Databricks credentials: {str(error).splitlines()[0]} Set DATABRICKS_HOST "
            "and either DATABRICKS_CLIENT_ID with DATABRICKS_CLIENT_SECRET or DATABRICKS_TOKEN "
            "where the step runs, or name a profile in DATABRICKS_CONFIG_PROFILE."
        ) from error

"""What a job that failed is told as in Dagster, and whether its step is tried again."""

import re
from collections.abc import Iterator
from typing import Any, Final

import dagster as dg
from databricks.sdk.service.jobs import TerminationDetails

from vidagg_dagster.core.errors import VidaggError
from vidagg_dagster.databricks.workspace import StepJobs, platform_fault

JOB_PAGE: Final = "databricks_job"
"""Name of the link to the job's page, in the metadata of what a step materialized."""

MAX_TRACE_CHARACTERS: Final = 4000
"""How much of a task's traceback is shown, counted from its end."""


def failure(jobs: StepJobs, error: Exception) -> dg.Failure:
    """The task's own error if there is one, else the error of the workspace."""
    if jobs.submitted is None:
        return dg.Failure(f"The job could not be submitted: {error}")
    try:
        cancelled = jobs.was_cancelled()
        text, trace = jobs.error_text()
        ended = jobs.termination()
    except OSError:
        return dg.Failure(
            f"The workspace gives no answers about the job {jobs.submitted} any more: {error}. "
            "It is being cancelled, and may still be running."
        )
    if cancelled:
        return dg.Failure(
            f"The job was cancelled in Databricks: {text}",
            metadata=job_pages(jobs),
            allow_retries=False,
        )
    metadata = dict(job_pages(jobs))
    if trace:
        metadata["task_trace"] = dg.MetadataValue.md(fenced(last_lines(trace)))
    return dg.Failure(
        f"The Databricks task failed: {text or error}",
        metadata=metadata,
        allow_retries=may_succeed_again(text, ended),
    )


def may_succeed_again(text: str, ended: TerminationDetails | None = None) -> bool:
    """Whether a job that ended so may succeed if it is run again.

    Where the task itself failed, its error text decides, `ErrorClass: message`. An error that the
    package does not know may be anything, so it is retried.
    """
    fault = platform_fault(ended)
    if fault is not None:
        return fault
    name = text.partition(":")[0].strip()
    hopeless = {error.__name__ for error in _subclasses(VidaggError) if not error.retryable}
    return name.rpartition(".")[2] not in hopeless | _SAME_EVERY_TIME


_SAME_EVERY_TIME: Final = frozenset(
    {
        "AnalysisException",  # a name, a type or a privilege
        "AttributeError",
        "ImportError",
        "ModuleNotFoundError",
        "ParseException",
        "PySparkAttributeError",
        "PySparkTypeError",
        "TypeError",
    }
)


def _subclasses(error: type[VidaggError]) -> Iterator[type[VidaggError]]:
    """The class, and all classes below it."""
    yield error
    for below in error.__subclasses__():
        yield from _subclasses(below)


def last_lines(trace: str) -> str:
    """The end of a trace from the beginning of a line, of at most `MAX_TRACE_CHARACTERS`."""
    if len(trace) <= MAX_TRACE_CHARACTERS:
        return trace
    end = trace[-MAX_TRACE_CHARACTERS:]
    return end.partition("\n")[2] or end


def fenced(text: str) -> str:
    """Text as a block of Markdown that the text itself cannot end, whatever is in it."""
    longest = max((len(ticks) for ticks in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def job_links(jobs: StepJobs) -> dict[str, str]:
    """The address of the job's page by its name in metadata, once it is known."""
    page = jobs.page()
    return {JOB_PAGE: page} if page else {}


def job_pages(jobs: StepJobs) -> dict[str, dg.MetadataValue[Any]]:
    """The same as metadata of Dagster."""
    return {name: dg.MetadataValue.url(page) for name, page in job_links(jobs).items()}

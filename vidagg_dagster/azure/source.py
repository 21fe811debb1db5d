"""Where events are in Azure: a Log Analytics workspace or an Application Insights resource."""

import re
from typing import Final, NamedTuple

WORKSPACE: Final = "loganalytics://"
RESOURCE: Final = "appinsights://"

_WORKSPACE_ID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_RESOURCE_ID: Final = re.compile(
    r"subscriptions/[^/?#]+/resourceGroups/[^/?#]+/providers/microsoft\.insights/components/[^/?#]+",
    re.IGNORECASE,
)


class LogColumns(NamedTuple):
    """How a table of Azure calls what an event has; names of KQL."""

    table: str
    time: str
    name: str
    dims: str
    measures: str
    item_count: str


class LogSource(NamedTuple):
    """A workspace by its id, or a resource by its path from `/subscriptions` on."""

    target: str
    columns: LogColumns
    is_workspace: bool


_OF_WORKSPACES: Final = LogColumns(
    "AppEvents", "TimeGenerated", "Name", "Properties", "Measurements", "ItemCount"
)
_OF_RESOURCES: Final = LogColumns(
    "customEvents", "timestamp", "name", "customDimensions", "customMeasurements", "itemCount"
)


def is_azure(location: str) -> bool:
    """Whether a location names something in Azure."""
    return location.startswith((WORKSPACE, RESOURCE))


def parse_source(location: str) -> LogSource:
    """The source behind `loganalytics://WORKSPACE-ID` or `appinsights://subscriptions/...`.

    Raises:
        ValueError: It is neither; the message says what it must look like.
    """
    if location.startswith(WORKSPACE):
        target = location.removeprefix(WORKSPACE).strip("/")
        if not _WORKSPACE_ID.fullmatch(target):
            raise ValueError(
                f"{WORKSPACE} is followed by the workspace id, such as "
                "00000000-1111-2222-3333-444444444444 (Overview of the workspace)"
            )
        return LogSource(target, _OF_WORKSPACES, is_workspace=True)
    target = location.removeprefix(RESOURCE).strip("/")
    if not _RESOURCE_ID.fullmatch(target):
        raise ValueError(
            f"{RESOURCE} is followed by the resource id, subscriptions/.../resourceGroups/.../"
            "providers/microsoft.insights/components/NAME (Properties of the resource)"
        )
    return LogSource(f"/{target}", _OF_RESOURCES, is_workspace=False)

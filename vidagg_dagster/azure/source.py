"""Where events are in Azure: a workspace, a resource of Application Insights, or a Kusto table."""

import json
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from vidagg_dagster.core.contract import EVENT_COLUMNS

WORKSPACE: Final = "loganalytics://"
RESOURCE: Final = "appinsights://"
KUSTO: Final = "kusto://"

_WORKSPACE_ID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_RESOURCE_ID: Final = re.compile(
    r"subscriptions/[^/?#]+/resourceGroups/[^/?#]+/providers/microsoft\.insights/components/[^/?#]+",
    re.IGNORECASE,
)
_KUSTO_TABLE: Final = re.compile(r"([\w.-]+(?::\d+)?)/([^/?#]+)/([A-Za-z_]\w*)")

_NUMBERS: Final = ("currentTime", "playbackRate", "seekFrom")


class LogColumns(NamedTuple):
    """How a table of Azure Monitor calls what an event has; names of KQL."""

    table: str
    time: str
    name: str
    dims: str
    measures: str
    item_count: str

    @property
    def items(self) -> str:
        """How many events the rows stand for."""
        return f"sum({self.item_count})"

    def shown(self, column: str, dimensions: Mapping[str, str]) -> str:
        """Our column; `dimensions` are those with other names than ours."""
        own = {"timestamp": self.time, "eventName": self.name}
        if column in own and column not in dimensions:
            return own[column]
        key = quoted(dimensions.get(column, column))
        said = f"tostring({self.dims}[{key}])"
        # The SDK of browsers puts what is a number among the measures.
        return f"coalesce({said}, tostring({self.measures}[{key}]))" if column in _NUMBERS else said

    def has_instants(self, dimensions: Mapping[str, str]) -> bool:
        """Whether our `timestamp` is a time, not a text."""
        return "timestamp" not in dimensions


class OwnColumns(NamedTuple):
    """A table with a column for each of ours, or for most; `columns` are those that it has."""

    table: str
    time: str
    name: str
    columns: frozenset[str]

    @property
    def items(self) -> str:
        """How many events the rows stand for."""
        return "count()"

    def shown(self, column: str, dimensions: Mapping[str, str]) -> str:
        """Our column; `dimensions` are those with other names than ours."""
        own = dimensions.get(column, column)
        if column == "timestamp":
            return own
        return f"tostring({own})" if own in self.columns else '""'

    def has_instants(self, dimensions: Mapping[str, str]) -> bool:
        """Whether our `timestamp` is a time, not a text."""
        del dimensions
        return True


EventColumns = LogColumns | OwnColumns


class LogSource(NamedTuple):
    """A workspace by its id, or a resource by its path from `/subscriptions` on."""

    target: str
    columns: LogColumns
    is_workspace: bool


class KustoSource(NamedTuple):
    """A table of Azure Data Explorer, or of an eventhouse of Fabric."""

    cluster: str
    database: str
    table: str

    @property
    def target(self) -> str:
        """Its name for people."""
        return f"{self.cluster}/{self.database}/{self.table}"


AzureSource = LogSource | KustoSource

OF_WORKSPACES: Final = LogColumns(
    "AppEvents", "TimeGenerated", "Name", "Properties", "Measurements", "ItemCount"
)
OF_RESOURCES: Final = LogColumns(
    "customEvents", "timestamp", "name", "customDimensions", "customMeasurements", "itemCount"
)


def is_azure(location: str) -> bool:
    """Whether a location names something in Azure."""
    return location.startswith((WORKSPACE, RESOURCE, KUSTO))


def parse_source(location: str) -> AzureSource:
    """The source behind `loganalytics://...`, `appinsights://...` or `kusto://...`.

    Raises:
        ValueError: It is none of them; the message says what it must look like.
    """
    if location.startswith(KUSTO):
        return parse_kusto_source(location)
    return parse_log_source(location)


def parse_log_source(location: str) -> LogSource:
    """The workspace or resource behind `loganalytics://...` or `appinsights://...`.

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
        return LogSource(target, OF_WORKSPACES, is_workspace=True)
    target = location.removeprefix(RESOURCE).strip("/")
    if not _RESOURCE_ID.fullmatch(target):
        raise ValueError(
            f"{RESOURCE} is followed by the resource id, subscriptions/.../resourceGroups/.../"
            "providers/microsoft.insights/components/NAME (Properties of the resource)"
        )
    return LogSource(f"/{target}", OF_RESOURCES, is_workspace=False)


def parse_kusto_source(location: str) -> KustoSource:
    """The table behind `kusto://CLUSTER/DATABASE/TABLE`.

    Raises:
        ValueError: It is none; the message says what it must look like.
    """
    found = _KUSTO_TABLE.fullmatch(location.removeprefix(KUSTO).strip("/"))
    if found is None:
        raise ValueError(
            f"{KUSTO} is followed by CLUSTER/DATABASE/TABLE, such as "
            "mycluster.westeurope.kusto.windows.net/videos/PlayerEvents (URI of the cluster)"
        )
    return KustoSource(found[1], found[2], found[3])


def columns_of(table: str, types: Mapping[str, str], dimensions: Mapping[str, str]) -> EventColumns:
    """How a Kusto table with these columns (name -> type of KQL) holds an event.

    Raises:
        ValueError: It has neither the columns of Application Insights nor ours.
    """
    for known in (OF_WORKSPACES, OF_RESOURCES):
        if types.keys() >= {*known} - {known.table}:
            return known._replace(table=table)
    wanted = {column: dimensions.get(column, column) for column in EVENT_COLUMNS}
    lacking = [wanted[one] for one in ("timestamp", "eventName") if wanted[one] not in types]
    if lacking:
        raise ValueError(
            f"{table} has no column {' and no column '.join(lacking)}. VIDAGG_COLUMNS says how it "
            f"calls them; it has {', '.join(types)}"
        )
    if types[wanted["timestamp"]] != "datetime":
        raise ValueError(
            f"column {wanted['timestamp']} of {table} is of type {types[wanted['timestamp']]}; "
            "days are asked for by a column of type datetime"
        )
    return OwnColumns(table, wanted["timestamp"], wanted["eventName"], frozenset(types))


def quoted(text: str) -> str:
    """A text in KQL."""
    return json.dumps(text, ensure_ascii=False)

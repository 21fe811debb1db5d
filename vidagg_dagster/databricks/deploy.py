"""`vidagg databricks deploy`: upload the wheel, and check that steps find what they need.

Only the workspace's REST API is used. No warehouse and no cluster is started.
"""

import hashlib
import io
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound, PermissionDenied

from vidagg_dagster.core.unity_catalog import volume_name
from vidagg_dagster.databricks.compute import Compute, wheel_paths

NEEDED_PRIVILEGES = ("USE_SCHEMA", "CREATE_TABLE")
_ALL = "ALL_PRIVILEGES"
_FULL_NAME_PARTS = 3


@dataclass(frozen=True)
class Finding:
    """The result of one check. `passed` is None where it cannot be known from outside."""

    subject: str
    passed: bool | None
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        mark = {True: "ok  ", False: "FAIL", None: "?   "}[self.passed]
        line = f"{mark} {self.subject}: {self.found}"
        return f"{line}\n     -> {self.remedy}" if self.remedy else line


@dataclass(frozen=True)
class Deployment:
    """What to upload, where to, and with whose credentials."""

    client: WorkspaceClient
    volume: str
    schema: str
    compute: Compute
    wheel: Path
    pipes_wheel: Path
    overwrite: bool = False
    sources: tuple[str, ...] = ()
    """Tables that steps read: catalog.schema.table."""

    def run(self, report: Callable[[Finding], None]) -> bool:
        """Check and upload, and report each finding; False if one keeps steps from running.

        Without credentials nothing else is checked.
        """
        passed = True
        checks = (
            *(self._credentials, self._volume, self._wheels),
            *(self._schema, self._sources, self._compute),
        )
        for check in checks:
            for finding in _findings(check):
                report(finding)
                passed = passed and finding.passed is not False
                if finding.passed is False and check == self._credentials:
                    return False
        return passed

    def _credentials(self) -> Iterator[Finding]:
        try:
            me = self.client.current_user.me().user_name
        except OSError as error:  # all errors of the SDK's API are
            yield Finding(
                "credentials",
                False,
                f"{self.client.config.host} does not accept them: {error}",
                "Set DATABRICKS_HOST with DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET, or "
                "with DATABRICKS_TOKEN, or name a profile in DATABRICKS_CONFIG_PROFILE.",
            )
        else:
            yield Finding("credentials", True, f"{me} at {self.client.config.host}")

    def _volume(self) -> Iterator[Finding]:
        name = volume_name(self.volume)
        catalog, schema, volume = name.split(".")
        try:
            self.client.volumes.read(name)
        except NotFound:
            yield Finding(
                "volume",
                False,
                f"there is no volume {name}, or you may not see it",
                f"databricks volumes create {catalog} {schema} {volume} MANAGED",
            )
            return
        probe = f"{self.volume}/.vidagg-{uuid.uuid4().hex}"
        written = uuid.uuid4().bytes
        try:
            self.client.files.upload(probe, io.BytesIO(written), overwrite=True)
            read = self.client.files.download(probe).contents
            same = read is not None and read.read() == written
            self.client.files.delete(probe)
        except PermissionDenied as error:
            yield Finding(
                "volume",
                False,
                f"{name} cannot be written: {error}",
                f"GRANT READ VOLUME, WRITE VOLUME ON VOLUME {name} TO `<who runs Dagster>`",
            )
            return
        yield Finding(
            "volume", same, f"{name} can be written and read back" if same else f"{name} is broken"
        )

    def _wheels(self) -> Iterator[Finding]:
        for target, wheel in zip(
            wheel_paths(self.volume), (self.pipes_wheel, self.wheel), strict=True
        ):
            yield from self._wheel(target, wheel)

    def _wheel(self, target: str, wheel: Path) -> Iterator[Finding]:
        content = wheel.read_bytes()
        stored = self._stored_digest(target)
        if stored == _digest(content):
            yield Finding("wheel", True, f"{target} is there already")
            return
        if stored is not None and not self.overwrite:
            yield Finding(
                "wheel",
                False,
                f"{target} has another content under the same version",
                "Raise the version in pyproject.toml. With --overwrite clusters that run keep the "
                "old one until they restart.",
            )
            return
        self.client.files.upload(target, io.BytesIO(content), overwrite=True)
        yield Finding("wheel", True, f"uploaded {target}")

    def _schema(self) -> Iterator[Finding]:
        catalog, schema = self.schema.split(".")
        try:
            self.client.catalogs.get(catalog)
        except NotFound:
            yield Finding(
                "catalog",
                False,
                f"there is no catalog {catalog}, or you may not see it",
                f"GRANT USE CATALOG ON CATALOG {catalog} TO `<who runs Dagster>`, or create it",
            )
            return
        try:
            owner = self.client.schemas.get(self.schema).owner
        except NotFound:
            yield Finding(
                "schema",
                False,
                f"there is no schema {self.schema}, or you may not see it",
                f"databricks schemas create {schema} {catalog}",
            )
            return
        yield Finding("schema", True, f"{self.schema} is there")
        yield self._privileges("catalog", catalog, ("USE_CATALOG",), "its schemas can be used")
        wanted = NEEDED_PRIVILEGES
        yield self._privileges("schema", self.schema, wanted, "tables can be created", owner)

    def _sources(self) -> Iterator[Finding]:
        for name in self.sources:
            if len(name.split(".")) != _FULL_NAME_PARTS:
                yield Finding("source", None, f"{name} does not say its catalog: not looked at")
                continue
            try:
                owner = self.client.tables.get(name).owner
            except (NotFound, PermissionDenied):
                schema, _, _ = name.rpartition(".")
                yield Finding(
                    "source",
                    False,
                    f"there is no table {name}, or you may not see it",
                    f"GRANT USE SCHEMA ON SCHEMA {schema} TO `<who runs Dagster>`; "
                    f"GRANT SELECT ON TABLE {name} TO `<who runs Dagster>`",
                )
                continue
            yield self._privileges("table", name, ("SELECT",), "it can be read", owner)

    def _privileges(
        self, kind: str, name: str, needed: Sequence[str], means: str, owner: str | None = None
    ) -> Finding:
        me = self.client.current_user.me().user_name
        if me is not None and me == owner:
            return Finding("privileges", True, f"you own {name}")
        granted = self.client.grants.get_effective(kind, name, principal=me)
        held = {
            privilege.privilege.value
            for assignment in granted.privilege_assignments or []
            for privilege in assignment.privileges or []
            if privilege.privilege is not None
        }
        lacking = [] if _ALL in held else [name for name in needed if name not in held]
        if not lacking:
            return Finding("privileges", True, f"{kind} {name}: {means}")
        privileges = ", ".join(name.replace("_", " ") for name in lacking)
        return Finding(
            "privileges",
            None,
            f"{privileges} on {name} is not granted to {me} by name; a group may have it",
            f"GRANT {privileges} ON {kind.upper()} {name} TO `{me}`",
        )

    def _compute(self) -> Iterator[Finding]:
        if self.compute.kind == "serverless":
            yield Finding("compute", None, "serverless: known only once a step runs")
        elif self.compute.kind == "job_cluster":
            version = self.compute.cluster()["spark_version"]
            yield Finding("compute", None, f"a new cluster on {version}: known once a step runs")
        else:
            yield self._existing_cluster(self.compute.cluster_id or "")

    def _existing_cluster(self, cluster: str) -> Finding:
        try:
            version = self.client.clusters.get(cluster).spark_version
        except OSError as error:
            return Finding(
                "compute",
                False,
                f"cluster {cluster}: {error}",
                "Correct VIDAGG_DATABRICKS_CLUSTER_ID; it is at the end of the cluster's address.",
            )
        return Finding("compute", True, f"cluster {cluster} on {version}")

    def _stored_digest(self, path: str) -> str | None:
        try:
            content = self.client.files.download(path).contents
        except NotFound:
            return None
        return None if content is None else _digest(content.read())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _findings(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings of a check; an error that it did not expect is one too."""
    try:
        yield from check()
    except OSError as error:
        yield Finding(check.__name__.strip("_"), False, f"the workspace refuses: {error}")

"""Settings: what is accepted, what one error says about all that is not, and the reference."""

import os
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from tools.settings_reference import env_example, settings_reference
from vidagg_dagster.core.contract import SourceSpec, TableStore
from vidagg_dagster.core.errors import SettingsError
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.defs.targets import databricks_steps
from vidagg_dagster.settings import Settings, load_settings
from vidagg_dagster.settings.variables import PREFIX, variables_of
from vidagg_dagster_tests.support.repository import REPO


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def refusal() -> str:
    with pytest.raises(SettingsError) as error:
        load_settings()
    return str(error.value)


def test_without_any_variable_the_published_rules_hold() -> None:
    settings = load_settings()
    assert settings.parameters == EngagementParameters()
    assert (settings.engine, settings.target, settings.timezone) == ("auto", "local", "UTC")
    assert settings.source_spec is None
    assert settings.store == TableStore(kind="local", location=str(Path.cwd() / "data"))


def test_every_setting_can_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {
        "SOURCE": "events",
        "SOURCE_FORMAT": "csv",
        "COLUMNS": "userId=user, currentTime = pos",
        "SOURCE_TIMEZONE": "Europe/Berlin",
        "TIMESTAMP_UNIT": "ms",
        "VIDEO_METADATA": "videos.csv",
        "DATA_ROOT": str(tmp_path / "tables"),
        "START_DATE": "2025-03-01",
        "TIMEZONE": "America/New_York",
        "ENGINE": "sc://spark.example:15002",
        "DRIVER_MEMORY": "4g",
        "TARGET": "local",
        "MAX_DAYS_PER_RUN": "7",
        "ESTIMATE_MISSING_DURATIONS": "true",
        "SESSION_TIMEOUT_MS": "600000",
        "COVERAGE_WEIGHT": "70.25",
        "REPAIR_SEEKS": "false",
        "OWNERS": "team:video, anna@example.com",
        "INSIGHTS": "off",
        "AUDIENCE": "audience.csv",
        "CHAPTERS": "chapters.csv",
        "USERS": "users.csv",
        "COHORT_BY": "plan, city",
    }.items():
        monkeypatch.setenv(f"VIDAGG_{name}", value)
    settings = load_settings()
    assert settings.operations.owners == ("team:video", "anna@example.com")
    assert settings.source_spec == SourceSpec(
        location="events",
        format="csv",
        columns={"userId": "user", "currentTime": "pos"},
        timezone="Europe/Berlin",
        timestamp_unit="ms",
    )
    assert settings.start_date == date(2025, 3, 1)
    assert settings.data_root == tmp_path / "tables"
    assert settings.parameters == EngagementParameters(
        session_timeout_ms=600_000, coverage_weight=Decimal("70.25"), repair_seeks=False
    )
    assert settings.estimate_missing_durations
    assert settings.max_days_per_run == 7
    told = (settings.insights, settings.audience, settings.chapters)
    assert told == (False, "audience.csv", "chapters.csv")
    assert (settings.users, settings.cohort_by) == ("users.csv", ("plan", "city"))


@pytest.mark.parametrize(("name", "value"), [("USERS", "users.csv"), ("COHORT_BY", "plan")])
def test_a_table_of_users_and_its_columns_are_named_together(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"VIDAGG_{name}", value)
    with pytest.raises(SettingsError, match="cohorts by an attribute need a table of users"):
        load_settings()


def test_columns_can_be_a_json_object(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDAGG_COLUMNS", '{"videoId": "a,b=c"}')
    assert load_settings().columns == {"videoId": "a,b=c"}


def test_dimensions_can_be_a_list_or_a_json_object(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = {"device": None, "country": "geo.country"}
    for text in ("device,country=geo.country", '{"device": null, "country": "geo.country"}'):
        monkeypatch.setenv("VIDAGG_DIMENSIONS", text)
        assert load_settings().dimensions == expected


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("userId", None),
        ('{"videoId": null}', None),
        ("device", "loganalytics://11111111-2222-3333-4444-555555555555"),
    ],
)
def test_impossible_dimensions_are_refused(
    monkeypatch: pytest.MonkeyPatch, text: str, source: str | None
) -> None:
    monkeypatch.setenv("VIDAGG_DIMENSIONS", text)
    if source is not None:
        monkeypatch.setenv("VIDAGG_SOURCE", source)
    assert "VIDAGG_DIMENSIONS" in refusal()


def test_the_file_wins_over_the_environment_as_it_does_under_dagster(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("VIDAGG_ENGINE=spark\nVIDAGG_TOLERANCE_MS=5\nOTHER=x\n")
    monkeypatch.setenv("VIDAGG_ENGINE", "sail")
    settings = load_settings()
    assert (settings.engine, settings.parameters.tolerance_ms) == ("spark", 5)


def test_an_empty_value_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDAGG_TIMEZONE", "")
    monkeypatch.setenv("VIDAGG_SOURCE", "")
    settings = load_settings()
    assert (settings.timezone, settings.source) == ("UTC", None)


def test_an_empty_variable_leaves_the_value_of_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("VIDAGG_ENGINE=spark\n")
    monkeypatch.setenv("VIDAGG_ENGINE", "")
    assert load_settings().engine == "spark"


def test_a_variable_in_lower_case_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("vidagg_databricks_volume", "/Volumes/a/b/c")
    assert load_settings().databricks.volume == "/Volumes/a/b/c"


def test_variables_of_the_test_suite_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDAGG_TEST_ENGINES", "sail")
    load_settings()


def test_an_unknown_setting_is_named_with_the_one_that_was_meant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VIDAGG_SESION_TIMEOUT_MS", "5")
    assert refusal() == (
        "1 setting is wrong:\n"
        "  VIDAGG_SESION_TIMEOUT_MS: there is no such setting; "
        "did you mean VIDAGG_SESSION_TIMEOUT_MS?"
    )


def test_an_unknown_setting_like_no_other_leads_to_the_reference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VIDAGG_XQZJXQZJXQZJ", "5")
    assert "VIDAGG_XQZJXQZJXQZJ: there is no such setting; see docs/settings.md" in refusal()


def test_an_unknown_setting_in_the_file_is_found_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("VIDAGG_TIMEZON=UTC\n")
    assert "VIDAGG_TIMEZON: there is no such setting" in refusal()


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("TIMEZONE", "Europe/Berlim", "did you mean Europe/Berlin?"),
        ("SOURCE_TIMEZONE", "../../etc/passwd", "an IANA time zone"),
        ("START_DATE", "1999-12-31", "from 2000-01-01 to today"),
        ("START_DATE", "2199-01-01", "from 2000-01-01 to today"),
        ("START_DATE", "soon", "a day YYYY-MM-DD"),
        ("ENGINE", "sparc", "did you mean spark?"),
        ("ENGINE", "sc://", "sc://host:port"),
        ("TARGET", "kubernetes", "allowed: local or databricks"),
        ("SOURCE_FORMAT", "xml", "auto, jsonl, csv, parquet, delta or table"),
        ("TIMESTAMP_UNIT", "minutes", "s, ms, us or ns"),
        ("COLUMNS", "user", "`ours=theirs,...`"),
        ("COLUMNS", "who=user", "no column of an event: who"),
        ("COLUMNS", "{", "not a JSON object"),
        ("SESSION_TIMEOUT_MS", "0", "a whole number above 0 and below 86400000"),
        ("SESSION_TIMEOUT_MS", "30 min", "a whole number"),
        ("MAX_PLAYBACK_RATE", "nan", "a number above 0 and at most 16"),
        ("COVERAGE_WEIGHT", "80.125", "a number with up to 2 decimals"),
        ("REPAIR_SEEKS", "perhaps", "true or false"),
        ("MAX_DAYS_PER_RUN", "-1", "a whole number at least 0"),
        ("DRIVER_MEMORY", "lots", "a size such as 4g"),
    ],
)
def test_an_impossible_value_is_named_with_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(f"VIDAGG_{name}", value)
    message = refusal()
    assert f"VIDAGG_{name}={value!r}: " in message
    assert allowed in message


def test_a_data_root_that_is_a_file_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "tables").touch()
    monkeypatch.setenv("VIDAGG_DATA_ROOT", "tables")
    assert "VIDAGG_DATA_ROOT='tables': this is a file, not a folder" in refusal()


def test_one_error_names_every_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDAGG_ENGIN", "sail")
    monkeypatch.setenv("VIDAGG_TIMEZONE", "Mars/Olympus")
    monkeypatch.setenv("VIDAGG_TOLERANCE_MS", "-1")
    message = refusal()
    assert message.startswith("3 settings are wrong:")
    for name in ("VIDAGG_ENGIN:", "VIDAGG_TIMEZONE=", "VIDAGG_TOLERANCE_MS="):
        assert name in message


def test_settings_that_contradict_each_other_are_named_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VIDAGG_MEDIUM_TIER_SCORE", "80")
    message = refusal()
    assert "VIDAGG_HIGH_TIER_SCORE='75', VIDAGG_MEDIUM_TIER_SCORE='80'" in message
    assert "tier scores must descend" in message


def test_a_deadline_before_the_schedule_is_named_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDAGG_SCHEDULE_HOUR", "7")
    assert "VIDAGG_DEADLINE_HOUR='6', VIDAGG_SCHEDULE_HOUR='7': the deadline must be" in refusal()


def test_everything_that_an_email_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDAGG_ALERT_EMAIL_TO", "a@example.com")
    monkeypatch.setenv("VIDAGG_ALERT_SMTP_HOST", "mail.example.com")
    monkeypatch.setenv("VIDAGG_ALERT_SMTP_SECURITY", "none")
    monkeypatch.setenv("VIDAGG_ALERT_SMTP_PASSWORD", "hunter2")
    assert refusal() == (
        "2 settings are wrong:\n"
        "  VIDAGG_ALERT_EMAIL_TO='a@example.com', VIDAGG_ALERT_EMAIL_FROM, "
        "VIDAGG_ALERT_SMTP_HOST='mail.example.com': "
        "e-mails need a sender and an SMTP server as well\n"
        "  VIDAGG_ALERT_SMTP_PASSWORD=(not shown), VIDAGG_ALERT_SMTP_SECURITY='none': "
        "the password would go over the network in clear text"
    )


def test_an_owner_that_dagster_would_refuse_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDAGG_OWNERS", "team:video, Anna")
    assert "'Anna' is neither an e-mail address nor team:NAME" in refusal()


def test_one_fault_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faults of one field, of fields of one group and of several groups, all at once."""
    set_databricks(monkeypatch, VIDAGG_DATABRICKS_VOLUME="", VIDAGG_DATABRICKS_SCHEMA="a")
    for name, value in {
        "TIMEZONE": "Mars",
        "SCHEDULE_HOUR": "9",
        "UI_URL": "nowhere",
        "HIGH_TIER_SCORE": "much",
        "MEDIUM_TIER_SCORE": "20",
    }.items():
        monkeypatch.setenv(f"VIDAGG_{name}", value)
    message = refusal()
    assert message.startswith("7 settings are wrong:")
    for told in (
        "VIDAGG_TIMEZONE='Mars'",
        "VIDAGG_DEADLINE_HOUR='6', VIDAGG_SCHEDULE_HOUR='9'",
        "VIDAGG_UI_URL='nowhere'",
        "VIDAGG_HIGH_TIER_SCORE='much'",
        "VIDAGG_LOW_TIER_SCORE",
        "VIDAGG_DATABRICKS_SCHEMA='a'",
        "VIDAGG_DATABRICKS_VOLUME: VIDAGG_TARGET=databricks needs",
    ):
        assert told in message


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ALERT_SMTP_PASSWRD", "VIDAGG_ALERT_SMTP_PASSWORD"),
        ("ALERT_SMTP_PASSWROD", "VIDAGG_ALERT_"),
        ("ALERT_SLACK_WEBHOK", "VIDAGG_ALERT_"),
        ("SLACK", ""),
        ("PASSWORD_OF_MAIL", ""),
        ("ENGIN", "VIDAGG_ENGINE"),
    ],
)
def test_a_value_is_never_shown_under_a_mistyped_name(
    name: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"VIDAGG_{name}", "https://hooks.example.com/T0/hunter2")
    message = refusal()
    assert "hunter2" not in message
    assert f"VIDAGG_{name}: there is no such setting" in message
    assert meant in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SOURCE", "s3://AKIAKEY:hunter2@bucket/events"),
        ("SOURCE", "https://account.blob.core.windows.net/c?sv=1&sig=hunter2"),
        ("VIDEO_METADATA", "s3a://hunter2@bucket/videos.csv"),
        ("UI_URL", "https://admin:hunter2@dagster.example.com"),
        ("UI_URL", "https://hunter2@dagster.example.com"),
        ("UI_URL", "https://dagster.example.com/?token=hunter2"),
        ("ENGINE", "spark://x;token=hunter2"),
    ],
)
def test_an_address_with_credentials_is_refused_without_showing_them(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"VIDAGG_{name}", value)
    message = refusal()
    assert f"VIDAGG_{name}=" in message
    assert "hunter2" not in message
    assert "AKIAKEY" not in message


@pytest.mark.parametrize(
    "source", ["abfss://events@account.dfs.core.windows.net/players", "s3://bucket/a@b/events"]
)
def test_an_address_without_credentials_is_taken(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDAGG_SOURCE", source)
    assert load_settings().source == source


def test_a_mapping_is_a_vocabulary_or_a_file_and_travels_with_the_source(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VIDAGG_SOURCE", "events.jsonl")
    monkeypatch.setenv("VIDAGG_MAPPING", "segment")
    source = load_settings().source_spec
    assert source is not None
    assert source.mapping is not None
    assert source.mapping.title.startswith("Segment")
    assert SourceSpec.model_validate_json(source.model_dump_json()) == source
    monkeypatch.setenv("VIDAGG_MAPPING", "nowhere.yaml")
    assert "VIDAGG_MAPPING='nowhere.yaml'" in refusal()
    assert "No such file" in refusal()


def test_the_reference_pages_are_up_to_date() -> None:
    """`python -m tools.settings_reference` writes them."""
    assert (REPO / "docs" / "settings.md").read_text(encoding="utf-8") == settings_reference()
    assert (REPO / ".env.example").read_text(encoding="utf-8") == env_example()


def test_every_setting_is_documented() -> None:
    for name, variable in variables_of(Settings).items():
        assert variable.field.description, name
        assert f"`{name}`" in settings_reference()
        assert f"# {name}=" in env_example()


def test_the_example_file_is_valid_when_uncommented(tmp_path: Path) -> None:
    lines = env_example().replace("# VIDAGG_", "VIDAGG_")
    (tmp_path / ".env").write_text(lines)
    assert load_settings() == Settings()


def test_importing_the_settings_reads_nothing(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("VIDAGG_ENGINE=nonsense\n")
    subprocess.run(
        [sys.executable, "-c", "import vidagg_dagster.settings"],
        check=True,
        cwd=tmp_path,
        env={**os.environ, "VIDAGG_TIMEZONE": "nonsense", "PYTHONPATH": str(REPO)},
    )


DATABRICKS = {
    "VIDAGG_TARGET": "databricks",
    "VIDAGG_SOURCE": "main.raw.player_events",
    "VIDAGG_DATABRICKS_SCHEMA": "main.video",
    "VIDAGG_DATABRICKS_VOLUME": "/Volumes/main/video/vidagg/",
}


def set_databricks(monkeypatch: pytest.MonkeyPatch, **changes: str) -> None:
    for name, value in {**DATABRICKS, **changes}.items():
        monkeypatch.setenv(name, value)


def test_databricks_needs_few_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    set_databricks(monkeypatch)
    settings = load_settings()
    assert settings.store == TableStore(kind="catalog", location="main.video")
    assert settings.databricks.volume == "/Volumes/main/video/vidagg"
    assert settings.databricks.compute == "serverless"


def test_a_source_in_azure_lands_in_the_folder_of_the_tables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    workspace = "00000000-1111-2222-3333-444444444444"
    monkeypatch.setenv("VIDAGG_SOURCE", f"loganalytics://{workspace}")
    monkeypatch.setenv("VIDAGG_COLUMNS", "userId=viewer")
    settings = load_settings()
    assert settings.azure_source is not None
    assert settings.azure_source.target == workspace
    assert settings.source_spec == SourceSpec(
        location=str(tmp_path / "data" / "landed_events"), format="parquet"
    )


def test_rows_are_sent_only_to_what_can_be_and_from_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VIDAGG_EXPORT_LOG_ANALYTICS", "https://e.example/rule")
    assert "endpoint, rule and stream" in refusal()
    monkeypatch.setenv("VIDAGG_EXPORT_LOG_ANALYTICS", "https://e.example/dcr-1/Custom-T_CL")
    assert load_settings().export_target is not None
    monkeypatch.setenv("VIDAGG_TARGET", "databricks")
    assert "rows are sent only from tables on this machine" in refusal()


def test_tables_in_the_catalog_of_a_connect_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDAGG_CATALOG_SCHEMA", "spark_catalog.video")
    assert "tables in a catalog are those of a Spark Connect server" in refusal()
    monkeypatch.setenv("VIDAGG_ENGINE", "sc://spark.example:15002")
    assert load_settings().store == TableStore(kind="catalog", location="spark_catalog.video")
    for name, value in (
        ("EXPORT_LOG_ANALYTICS", "https://e.example/dcr-1/Custom-T_CL"),
        ("COMPLETION_FORECAST", "table"),
    ):
        monkeypatch.setenv(f"VIDAGG_{name}", value)
        assert "this needs the tables below VIDAGG_DATA_ROOT" in refusal()
        monkeypatch.delenv(f"VIDAGG_{name}")
    monkeypatch.setenv("VIDAGG_CATALOG_SCHEMA", "delta")
    assert "not schema or catalog.schema" in refusal()


@pytest.mark.parametrize(
    "root",
    [
        "s3://bucket/video",
        "abfss://container@account.dfs.core.windows.net/video",
        "gs://bucket/video",
    ],
)
def test_tables_in_object_storage(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDAGG_DATA_ROOT", f"{root}/")
    settings = load_settings()
    assert settings.store == TableStore(kind="local", location=root)
    assert settings.tables_in_files
    assert not settings.tables_are_here
    monkeypatch.setenv("VIDAGG_ENGINE", "spark")
    assert "only Sail writes to object storage" in refusal()
    monkeypatch.delenv("VIDAGG_ENGINE")
    monkeypatch.setenv("VIDAGG_SOURCE", "kusto://c.kusto.windows.net/d/T")
    assert "events land only in a folder of this machine" in refusal()
    monkeypatch.delenv("VIDAGG_SOURCE")
    monkeypatch.setenv("VIDAGG_DATA_ROOT", f"{root}*")
    assert "a meaning of their own" in refusal()


@pytest.mark.parametrize("root", ["az://container/video", "s3a://bucket/video", "gcs://b/v"])
def test_an_address_that_cannot_hold_tables_is_no_folder(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDAGG_DATA_ROOT", root)
    assert "can hold them" in refusal()
    monkeypatch.setenv("VIDAGG_DATA_ROOT", "s3://key:hunter2@bucket/video")
    assert "hunter2" not in refusal()


def test_a_source_in_azure_that_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDAGG_SOURCE", "loganalytics://my-workspace")
    assert "is followed by the workspace id" in refusal()
    monkeypatch.setenv("VIDAGG_SOURCE", "appinsights://my-resource")
    assert "is followed by the resource id" in refusal()
    monkeypatch.setenv("VIDAGG_SOURCE", "kusto://my-cluster")
    assert "is followed by CLUSTER/DATABASE/TABLE" in refusal()
    monkeypatch.setenv("VIDAGG_SOURCE", "loganalytics://00000000-1111-2222-3333-444444444444")
    monkeypatch.setenv("VIDAGG_MAPPING", "matomo")
    assert "events in Azure are in our vocabulary" in refusal()


def test_everything_that_databricks_lacks_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDAGG_TARGET", "databricks")
    monkeypatch.setenv("VIDAGG_DATABRICKS_COMPUTE", "job_cluster")
    monkeypatch.setenv("VIDAGG_COMPLETION_SHARE_PERCENT", "wrong")
    told = refusal()
    for name in ("SOURCE", "DATABRICKS_SCHEMA", "DATABRICKS_VOLUME", "DATABRICKS_JOB_CLUSTER"):
        assert f"VIDAGG_{name}: VIDAGG_TARGET=databricks needs" in told
    assert "VIDAGG_COMPLETION_SHARE_PERCENT" in told
    monkeypatch.setenv("VIDAGG_DATABRICKS_COMPUTE", "existing_cluster")
    assert "VIDAGG_DATABRICKS_CLUSTER_ID: VIDAGG_TARGET=databricks needs" in refusal()


@pytest.mark.parametrize(
    "cluster", ['{"custom_tags": {"policy_id": "x"}}', '{"spark_conf": {}}', '{"policy_id": ""}']
)
def test_a_new_cluster_names_its_machines_itself(
    cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key of the same name deeper in the object names no machines."""
    set_databricks(
        monkeypatch,
        VIDAGG_DATABRICKS_COMPUTE="job_cluster",
        VIDAGG_DATABRICKS_JOB_CLUSTER=cluster,
    )
    told = refusal()
    assert f"VIDAGG_DATABRICKS_JOB_CLUSTER={cluster!r}: VIDAGG_TARGET=databricks needs" in told
    assert "node_type_id" in told


def test_locally_nothing_of_databricks_is_needed() -> None:
    assert load_settings().databricks.schema_name is None


@pytest.mark.parametrize(
    "schema", ["video", "a.b.c", "main.video; DROP", "main.`x`", "main.", "../a.b", "m\u00e4.b"]
)
def test_a_schema_that_is_more_than_two_names_is_refused(
    schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_databricks(monkeypatch, VIDAGG_DATABRICKS_SCHEMA=schema)
    assert "not catalog.schema" in refusal()


@pytest.mark.parametrize(
    "volume",
    [
        "dbfs:/Volumes/main/video/vidagg",
        "/Volumes/main/video",
        "/Volumes/main/video/vidagg/../../other",
        "/Volumes/main/video/vidagg extra",
        "/Volumes/main/video/vidagg/a b",
        "/Volumes/main/video/vidagg//x",
        "Volumes/main/video/vidagg",
        "/mnt/data",
    ],
)
def test_a_path_outside_a_volume_is_refused(volume: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_databricks(monkeypatch, VIDAGG_DATABRICKS_VOLUME=volume)
    assert "VIDAGG_DATABRICKS_VOLUME" in refusal()


def test_a_folder_in_a_volume_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    set_databricks(monkeypatch, VIDAGG_DATABRICKS_VOLUME="/Volumes/main/video/files/vidagg-2.x")
    assert load_settings().databricks.volume == "/Volumes/main/video/files/vidagg-2.x"


@pytest.mark.parametrize("source", ["data/events", "../events", "./events.jsonl"])
def test_a_relative_path_means_nothing_on_a_cluster(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_databricks(monkeypatch, VIDAGG_SOURCE=source)
    assert f"VIDAGG_SOURCE='{source}': a relative path means nothing on a cluster" in refusal()
    monkeypatch.setenv("VIDAGG_SOURCE", "/Volumes/main/raw/events")
    load_settings()
    monkeypatch.setenv("VIDAGG_AUDIENCE", "data/audience.csv")
    assert "VIDAGG_AUDIENCE='data/audience.csv': a relative path means nothing" in refusal()


def test_a_new_cluster_is_a_json_object_of_known_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    set_databricks(
        monkeypatch,
        VIDAGG_DATABRICKS_COMPUTE="job_cluster",
        VIDAGG_DATABRICKS_JOB_CLUSTER='{"node_type_id": "i3.xlarge", "autoscal": {}}',
    )
    with pytest.raises(SettingsError, match="the Clusters API knows no autoscal"):
        databricks_steps(load_settings())
    monkeypatch.setenv("VIDAGG_DATABRICKS_JOB_CLUSTER", '{"node_type_id": "i3.xlarge"}')
    assert databricks_steps(load_settings()).compute.cluster()["node_type_id"] == "i3.xlarge"
    monkeypatch.setenv("VIDAGG_DATABRICKS_JOB_CLUSTER", "node_type_id=i3")
    assert "not a JSON object" in refusal()


def test_the_code_location_loads_without_credentials_and_names_the_tables(tmp_path: Path) -> None:
    """In a process of its own, where nothing has imported the parts of Databricks before."""
    code = (
        "from vidagg_dagster.definitions import defs\n"
        "import dagster as dg\n"
        "loaded = defs()\n"
        "asset = loaded.resolve_asset_graph().get(dg.AssetKey('sessions'))\n"
        "print(asset.metadata['dagster/table_name'], asset.pools)\n"
        "import sys\n"
        "print('databricks.sdk' in sys.modules)\n"
    )
    kept = {n: v for n, v in os.environ.items() if not n.startswith("DATABRICKS_")}
    for extra, expected in (
        (DATABRICKS, "main.video.sessions {'vidagg_tables'}\nTrue\n"),
        ({}, "sessions {'vidagg_tables'}\nFalse\n"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**kept, **extra, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == expected, done.stderr

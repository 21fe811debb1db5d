"""The command line, as a user meets it: exit codes, one clear line, files."""

import csv
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from vidagg_dagster import __version__
from vidagg_dagster.cli.main import main
from vidagg_dagster.core.errors import DayFailedError
from vidagg_dagster.settings.opened import only_ui
from vidagg_dagster_tests.support import peter
from vidagg_dagster_tests.support.source_files import write


def vidagg(
    *arguments: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vidagg_dagster.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | (env or {}),
        cwd=cwd,
        check=False,
    )


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Runs a command that must be refused with exit code 2; returns its one line."""
    try:
        code = main([*map(str, arguments)])
    except SystemExit as stop:
        code = int(str(stop.code))
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


@pytest.fixture
def events(tmp_path: Path) -> Path:
    return peter.write_events(tmp_path / "events.jsonl")


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    return peter.write_videos(tmp_path / "videos.jsonl")


@pytest.mark.usefixtures("patient")
def test_aggregate_writes_peter_s_row_as_json(
    engine: str, events: Path, videos: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.jsonl"
    result = vidagg("aggregate", events, "--videos", videos, "--output", output, "--engine", engine)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    # Java itself warns about a module that Spark asks for.
    said = [line for line in result.stderr.splitlines() if "incubator modules" not in line]
    assert said == [f"{output}: 1 row; input 6 = accepted 6 + duplicates 0 + rejected 0"]
    (row,) = map(json.loads, output.read_text().splitlines())
    assert {name: row[name] for name in peter.ROW} == peter.ROW
    assert row["watchedIntervals"] == [[0, 120_000]]
    assert row["firstWatchDate"] == "2026-01-05T10:00:00Z"
    assert row["lastWatchDate"] == "2026-01-05T10:02:20Z"


def test_aggregate_says_that_there_was_nothing(tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()
    output = tmp_path / "out.csv"
    result = vidagg("aggregate", tmp_path / "events", "--output", output, "--engine", "sail")
    assert result.returncode == 0, result.stderr
    assert result.stderr.strip().endswith("; no row was read: is it the right place?")


def test_aggregate_writes_the_same_row_as_csv_and_parquet(
    events: Path, videos: Path, tmp_path: Path
) -> None:
    for extension in ("csv", "parquet"):
        output = tmp_path / f"out.{extension}"
        result = vidagg(
            "aggregate", events, "--videos", videos, "--output", output, "--engine", "sail"
        )
        assert result.returncode == 0, result.stderr
    with (tmp_path / "out.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["totalWatchTime"], row["engagementTier"]) == ("130.0", "Low")
    assert row["watchedIntervals"] == "[[0, 120000]]"
    (typed,) = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert {name: typed[name] for name in peter.ROW} == peter.ROW
    assert typed["watchedIntervals"] == [[0, 120_000]]


def test_aggregate_reads_foreign_columns_names_units_zones_and_rules(tmp_path: Path) -> None:
    events = tmp_path / "events.csv"
    lines = ["when,who,sessionId,videoId,eventName,currentTime"]
    for row, second in zip(peter.EVENTS, (0, 30, 35, 125, 130, 140), strict=True):
        at = 1_767_654_000_000 + second * 1000  # 2026-01-05 23:00 UTC, the 6th in Berlin
        name = row["eventName"].replace("video_play", "Begin")
        lines.append(f"{at},peter,s1,video_001,{name},{row['currentTime']}")
    lines += [f"{at},peter,s1,video_001,share,0", f"{at},live,s2,channel,video_play,90000"]
    events.write_text("\n".join(lines) + "\n")
    output = tmp_path / "out.jsonl"
    result = vidagg(
        *("aggregate", events, "--output", output, "--engine", "sail"),
        *("--columns", "timestamp=when,userId=who", "--timestamp-unit", "ms"),
        *("--event-names", "video_play=begin,ignore=share|like", "--max-position", "1e5"),
        *("--timezone", "Europe/Berlin", "--estimate-missing-durations"),
        *("--rules", "backward_skip_ms=20000", "very_short_watch_ms=999999"),
    )
    assert result.returncode == 0, result.stderr
    assert "input 8 = accepted 7 + duplicates 0 + ignored 1 + rejected 0" in result.stderr
    live, row = map(json.loads, output.read_text().splitlines())
    assert live["maxPositionReached"] == 90_000.0
    assert row["totalWatchTime"] == 130.0
    assert row["totalBackwardSkips"] == 0
    assert row["dataQualityFlag"] == "very_short_watch"
    assert row["videoDurationSource"] == "estimated"
    assert row["activeDays"] == ["2026-01-06"]
    assert row["firstWatchDate"] == "2026-01-05T23:00:00Z"


def test_the_summary_names_what_was_rejected(tmp_path: Path) -> None:
    events = peter.write_events(
        tmp_path / "events.jsonl",
        peter.EVENTS[0] | {"currentTime": "NaN"},
        peter.EVENTS[0] | {"userId": ""},
        dict(peter.EVENTS[1]),
    )
    result = vidagg("aggregate", events, "--output", tmp_path / "o.csv", "--engine", "sail")
    assert result.stderr.endswith(
        "1 row; input 9 = accepted 6 + duplicates 1 + rejected 2 "
        "(invalid_position 1, missing_user 1)\n"
    )


@pytest.fixture
def statements(tmp_path: Path) -> Path:
    """Two events of the xAPI video profile, and one of a verb that it does not have."""
    video = "https://w3id.org/xapi/video"

    def statement(second: int, verb: str, position: float) -> str:
        content = {
            "actor": {"account": {"name": "ada"}},
            "verb": {"id": f"{video}/verbs/{verb}"},
            "object": {"id": "intro"},
            "result": {"extensions": {f"{video}/extensions/time": position}},
            "context": {"registration": "r1"},
            "timestamp": f"2026-01-05T10:00:{second:02}Z",
        }
        return json.dumps(content)

    lines = [statement(0, "played", 0), statement(30, "paused", 30), statement(31, "sung", 30)]
    file = tmp_path / "statements.jsonl"
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


def test_aggregate_reads_a_vocabulary_and_tells_the_names_that_it_lacks(
    statements: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.jsonl"
    result = vidagg(
        *("aggregate", statements, "--output", output, "--engine", "sail", "--mapping", "xapi")
    )
    assert result.stderr.endswith(
        "input 3 = accepted 2 + duplicates 0 + rejected 1 (unknown_event 1); names of events that "
        "are not known: https://w3id.org/xapi/video/verbs/sung 1\n"
    )
    row = json.loads(output.read_text())
    assert (row["userId"], row["videoId"], row["totalWatchTime"]) == ("ada", "intro", 30.0)


def test_strict_fails_where_too_many_rows_are_rejected_and_not_otherwise(
    statements: Path, events: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.jsonl"
    common = ("--output", str(output), "--engine", "sail", "--strict")
    assert main(["aggregate", str(statements), "--mapping", "xapi", *common]) == 2
    said = capsys.readouterr().err
    assert "more than 1% of the rows are rejected, so nothing was written" in said
    assert not output.exists()
    assert main(["aggregate", str(events), *common]) == 0
    assert output.exists()


def test_map_recognises_a_vocabulary_and_shows_what_would_be_read(
    statements: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["map", str(statements), "--engine", "sail"]) == 0
    shown = capsys.readouterr().out
    assert "is in the vocabulary xapi: xAPI video profile (2 of 3 events are understood)" in shown
    assert "2026-01-05 10:00:30  ada     r1" in shown
    assert "accepted 2, duplicate 0, ignored 0, rejected 1" in shown
    assert "Names that are not known: https://w3id.org/xapi/video/verbs/sung 1" in shown
    assert f"vidagg aggregate {statements} --mapping xapi --output rows.csv" in shown


@pytest.mark.parametrize(
    ("time", "said"), [("1/5/2026, 9:00 AM", True), ("2026-01-05T09:00:00Z", False)]
)
def test_map_shows_a_time_that_cannot_be_read_and_what_helps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], time: str, *, said: bool
) -> None:
    rows = ["timestamp,userId,sessionId,videoId,eventName,currentTime", f'"{time}",u,s,v,play,0']
    events = write(tmp_path / "a.csv", rows)
    assert main(["map", str(events), "--engine", "sail"]) == 0
    shown = capsys.readouterr().out
    assert (f"No time can be read, such as {time}: say their pattern, such as" in shown) is said


def test_map_says_that_a_file_is_in_no_vocabulary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text("when,what\n1,go\n")
    assert main(["map", str(tmp_path / "a.csv")]) == 0
    said = capsys.readouterr().out
    assert "is in no vocabulary that is known: its columns are what, when" in said
    assert f"vidagg init {tmp_path / 'a.csv'} says which columns" in said


def test_aggregate_carries_dimensions_and_tells_those_that_no_column_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = peter.EVENTS[-1] | {"device": "tv", "geo": {"land": "DE"}}
    events = peter.write_events(tmp_path / "events.jsonl", told)
    output = tmp_path / "out.jsonl"
    asked = ("--output", str(output), "--engine", "sail", "--dimensions")
    assert main(["aggregate", str(events), *asked, "device,country=geo.land,devise"]) == 0
    assert "devise: there is no column devise; nearest: device" in capsys.readouterr().err
    (row,) = map(json.loads, output.read_text().splitlines())
    assert (row["device"], row["country"], row["devise"]) == (["tv"], ["DE"], [])
    assert main(["aggregate", str(events), *asked, "device"]) == 0
    assert "there is no column" not in capsys.readouterr().err
    assert "country" not in json.loads(output.read_text())


def test_names_of_events_that_nobody_knows_are_counted(tmp_path: Path) -> None:
    ended = peter.EVENTS[-1] | {"eventName": "Over"}
    events = peter.write_events(tmp_path / "events.jsonl", ended)
    result = vidagg("aggregate", events, "--output", tmp_path / "o.csv", "--engine", "sail")
    assert result.returncode == 0
    assert result.stderr.endswith("; names of events that are not known: over 1\n")


def test_where_no_row_can_be_used_nothing_is_written_and_the_exit_code_is_3(tmp_path: Path) -> None:
    events = tmp_path / "events.csv"
    lines = ["timestamp,userId,sessionId,videoId,eventName,currentTime"]
    lines += [f"2026-01-05T10:00:0{n}Z,p,s,v,Playback Started,0" for n in range(3)]
    events.write_text("\n".join([*lines, "2026-01-05T10:01:00Z,p,s,v,Playback Over,60"]) + "\n")
    result = vidagg("aggregate", events, "--output", tmp_path / "o.csv", "--engine", "sail")
    assert result.returncode == 3
    assert result.stderr.count("\n") == 1
    assert "playback started 3, playback over 1" in result.stderr
    assert not (tmp_path / "o.csv").exists()


def test_only_the_days_that_are_asked_for_count(tmp_path: Path) -> None:
    later = [
        row | {"timestamp": row["timestamp"].replace("01-05", "01-06")} for row in peter.EVENTS
    ]
    events = peter.write_events(tmp_path / "events.jsonl", *later)
    output = tmp_path / "out.jsonl"
    days = ("--from", "2026-01-06", "--to", "2026-01-06")
    result = vidagg("aggregate", events, "--output", output, "--engine", "sail", *days)
    assert result.returncode == 0, result.stderr
    assert result.stderr.endswith("input 6 = accepted 6 + duplicates 0 + rejected 0\n")
    assert json.loads(output.read_text())["activeDays"] == ["2026-01-06"]


def test_aggregate_works_where_dagster_is_not_installed(
    events: Path, videos: Path, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "for name in ('dagster', 'dagster_webserver', 'dotenv', 'deltalake'):\n"
        "    sys.modules[name] = None\n"
    )
    output = tmp_path / "out.jsonl"
    result = vidagg(
        *("aggregate", events, "--videos", videos, "--output", output, "--engine", "sail"),
        env={"PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}"},
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(output.read_text())["totalWatchTime"] == 130.0


def test_a_missing_column_is_one_clear_line(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text('{"timestamp": "2026-01-05T10:00:00Z", "user": "peter"}\n')
    result = vidagg("aggregate", events, "--output", tmp_path / "o.csv", "--engine", "sail")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "userId" in result.stderr
    assert not (tmp_path / "o.csv").exists()


@pytest.mark.parametrize("name", ["broken.parquet", "broken.jsonl.gz", "notes.docx"])
def test_an_unreadable_file_is_one_clear_line(tmp_path: Path, name: str) -> None:
    broken = tmp_path / name
    broken.write_bytes(b"PAR1 this is not what the name says")
    result = vidagg("aggregate", broken, "--output", tmp_path / "o.csv", "--engine", "sail")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert name in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("by", ["option", "environment", ".env"])
def test_spark_without_java_is_one_clear_line(by: str, events: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("VIDAGG_ENGINE=spark\n" if by == ".env" else "")
    result = vidagg(
        *("aggregate", events, "--output", tmp_path / "o.csv"),
        *(("--engine", "spark") if by == "option" else ()),
        env={"JAVA_HOME": str(tmp_path)}
        | ({"VIDAGG_ENGINE": "spark"} if by == "environment" else {}),
        cwd=tmp_path,
    )
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "Java 17" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["agregate"], "invalid choice: 'agregate'"),
        (["aggregate"], "EVENTS"),
        (["aggregate", "{events}"], "--output"),
        (["aggregate", "{events}", "--output", "{folder}/o.xlsx"], "extension"),
        (["aggregate", "{events}", "--output", "{folder}/no/o.csv"], "no folder"),
        (["aggregate", "{folder}/no.jsonl", "--output", "{folder}/o.csv"], "no such file"),
        (["aggregate", "{events}", "--videos", "no", "--output", "{folder}/o.csv"], "no such file"),
        (["aggregate", "{events}", "--output", "{folder}/o.csv", "--engine", "flink"], "flink"),
        (["aggregate", "{events}", "--output", "{folder}/o.csv", "--timezone", "Mars"], "Mars"),
        (["aggregate", "{events}", "--output", "{folder}/o.csv", "--columns", "x=y"], "x"),
        (["aggregate", "{events}", "--output", "{folder}/o.csv", "--columns", "userId"], "userId"),
        (["aggregate", "{events}", "--output", "{folder}/o.csv", "--event-names", "x=y"], "x"),
        (["aggregate", "{events}", "--output", "{folder}/o.csv", "--event-names", "x"], "x"),
        (["aggregate", "{events}", "--output", "{folder}/o.csv", "--max-position", "0"], "'0'"),
        (["aggregate", "{events}", "--output", "{folder}/o.csv", "--max-position", "nan"], "nan"),
        (["aggregate", "{events}", "--output", "{folder}/o.csv", "--max-position", "x"], "'x'"),
        (
            ["aggregate", "{events}", "--output", "{folder}/o.csv", "--rules", "x=1"],
            "there are session_timeout_ms",
        ),
        (
            ["aggregate", "{events}", "--output", "{folder}/o.csv", "--rules", "tolerance_ms=-1"],
            "tolerance_ms",
        ),
        (
            ["aggregate", "{events}", "--output", "{folder}/o.csv", "--rules", "low_tier_score=99"],
            "descend",
        ),
        (["aggregate", "{events}", "--output", "{folder}/o.csv", "--unknown"], "--unknown"),
        (["aggregate", "{events}", "--output", "{folder}/o.csv", "--from", "6.1."], "YYYY-MM-DD"),
        (
            [
                *("aggregate", "{events}", "--output", "{folder}/o.csv"),
                *("--from", "2026-01-06", "--to", "2026-01-05"),
            ],
            "is after",
        ),
        (["ui", "--folder", "{folder}/none"], "vidagg init"),
        (["ui", "--folder", "{folder}"], "vidagg init"),
        (["demo", "--first-day", "yesterday"], "YYYY-MM-DD"),
    ],
)
def test_bad_arguments_are_one_clear_line(
    capsys: pytest.CaptureFixture[str],
    events: Path,
    tmp_path: Path,
    arguments: list[str],
    complaint: str,
) -> None:
    filled = [text.format(events=events, folder=tmp_path) for text in arguments]
    assert complaint in refused(capsys, *filled)


def test_help_explains_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    commands = ("", "demo", "ui", "aggregate", "map", "maintain", "alert test", "databricks deploy")
    for command in commands:
        with pytest.raises(SystemExit) as stop:
            main([*command.split(), "--help"])
        assert stop.value.code == 0
        said = capsys.readouterr().out
        assert f"usage: vidagg {command}".strip() in said
        assert not command or f"examples:\n  vidagg {command}" in said


def test_without_a_command_the_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    said = capsys.readouterr().out
    assert all(f"\n    {name}" in said for name in ("demo", "ui", "aggregate", "maintain"))


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"vidagg {__version__}\n"


def test_a_busy_port_is_one_clear_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("VIDAGG_SOURCE=events\n")
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        said = refused(capsys, "ui", "--folder", tmp_path, "--port", str(port))
    assert f"--port {port + 1}" in said


def test_a_second_ui_of_a_home_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """On another port, too: it would have a second daemon, and both would complain for ever."""
    (tmp_path / ".env").write_text("VIDAGG_SOURCE=events\n")
    home = tmp_path / "dagster_home"
    home.mkdir()
    with only_ui(home, "http://localhost:3111"):
        said = refused(capsys, "ui", "--folder", tmp_path, "--port", "3112")
    assert "open already: http://localhost:3111" in said


def test_every_wrong_setting_has_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VIDAGG_TIMEZONE", "Mars")
    monkeypatch.setenv("VIDAGG_ENGIN", "sail")
    for command in ("maintain", "alert test", "databricks deploy"):
        assert main(command.split()) == 2
        first, *others = capsys.readouterr().err.splitlines()
        assert first == f"vidagg {command}: 2 settings are wrong:"
        assert [re.split("[=:]", line)[0] for line in others] == [
            "  VIDAGG_ENGIN",
            "  VIDAGG_TIMEZONE",
        ]


def test_a_failed_day_of_the_demo_is_no_bad_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DayFailedError("2026-01-05: disk full")

    monkeypatch.setattr("vidagg_dagster.demo.run.run_demo", fail)
    assert main(["demo"]) == 1
    assert capsys.readouterr().err == "vidagg demo: 2026-01-05: disk full\n"


def test_a_bug_is_shown_with_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("vidagg_dagster.settings.load_settings", fail)
    with pytest.raises(KeyError):
        main(["maintain"])

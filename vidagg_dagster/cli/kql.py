"""The command `vidagg kql`: ready queries for Azure Log Analytics, and their checker."""

import argparse
import csv
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from vidagg_dagster.azure.pack import QUERIES, SOURCES, Video, Window, render
from vidagg_dagster.cli.exit_codes import FAILED
from vidagg_dagster.core.errors import BadInputError


def add_kql(commands: Any) -> None:
    """Add `kql` to the subcommands of `vidagg`."""
    parser = commands.add_parser(
        "kql",
        help="queries for Azure Log Analytics and Application Insights",
        description="Queries in KQL that follow the same definitions, to be pasted into Azure.",
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    _add_render(actions)
    _add_check(actions)


def _add_render(actions: Any) -> None:
    parser = actions.add_parser(
        "render",
        help="print a query, or write all of them",
        description="Print a query, or write all of them to a folder, with the thresholds of the "
        "VIDAGG_ variables.",
        allow_abbrev=False,
    )
    parser.add_argument("query", nargs="?", choices=QUERIES, metavar="QUERY", help=_listed())
    parser.add_argument(
        "--source",
        choices=SOURCES,
        default=SOURCES[0],
        help="customevents: Application Insights; appevents: a Log Analytics workspace; example: "
        "the events are inside the query (%(default)s)",
    )
    parser.add_argument(
        "--from", dest="first", type=_day, metavar="DAY", help="first day, of UTC; a week ago"
    )
    parser.add_argument("--to", dest="last", type=_day, metavar="DAY", help="last day; today")
    parser.add_argument(
        "--videos", type=Path, help="CSV file of videoId, duration (seconds) and title"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write QUERY, or all, to files here"
    )
    parser.set_defaults(run=_render, command=parser.prog)


def _add_check(actions: Any) -> None:
    parser = actions.add_parser(
        "check",
        help="check KQL by Microsoft's own binder and a lint (needs Node)",
        description="Check KQL against the tables of Azure, by Microsoft's own binder and by a "
        "lint for what it lets through. Needs Node; the binder comes from npm once.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="files to check; without: the pack"
    )
    parser.set_defaults(run=_check, command=parser.prog)


def _listed() -> str:
    return "one of " + ", ".join(QUERIES)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day YYYY-MM-DD") from None


def _render(options: argparse.Namespace) -> int:
    from vidagg_dagster.settings import load_settings

    if options.query is None and options.out is None:
        raise BadInputError(f"name a query, {_listed()}; or give --out for all of them")
    window, videos = _window(options.first, options.last), _videos(options.videos)
    settings = load_settings()
    if settings.timezone != "UTC":
        print(f"KQL counts days of UTC, not of {settings.timezone}.", file=sys.stderr)
    texts = {
        query: render(
            query,
            options.source,
            window,
            parameters=settings.parameters,
            max_position_s=settings.max_position,
            videos=videos,
        )
        for query in ([options.query] if options.query else QUERIES)
    }
    if options.out is None:
        print(texts[options.query], end="")
    else:
        _write(texts, options.out)
    return 0


def _window(first: date | None, last: date | None) -> Window | None:
    if first is None and last is None:
        return None
    if first is None or last is None:
        raise BadInputError("--from and --to go together")
    if last < first:
        raise BadInputError(f"--to {last} is before --from {first}")
    return Window(first, last)


def _videos(path: Path | None) -> list[Video]:
    if path is None:
        return []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(_video_rows(path, csv.DictReader(file)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInputError(f"--videos {path}: {error}") from error


def _video_rows(path: Path, rows: "csv.DictReader[str]") -> Iterator[Video]:
    lacking = {"videoId", "duration"} - set(rows.fieldnames or ())
    if lacking:
        raise BadInputError(f"--videos {path}: there is no column {' or '.join(sorted(lacking))}")
    for row in rows:
        try:
            seconds = float(row["duration"] or 0)
        except ValueError:
            raise BadInputError(
                f"--videos {path}, line {rows.line_num}: {row['duration']!r} is not a duration in "
                "seconds"
            ) from None
        yield Video((row["videoId"] or "").strip(), seconds, (row.get("title") or "").strip())


def _write(texts: dict[str, str], folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for query, text in texts.items():
            (folder / f"{query}.kql").write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInputError(f"--out {folder}: {error}") from error
    print(f"{folder}: {', '.join(f'{query}.kql' for query in texts)}", file=sys.stderr)


def _check(options: argparse.Namespace) -> int:
    from vidagg_dagster.azure.check import check

    texts = _texts_of(options.files)
    found = 0
    for name, checked in check(texts).items():
        for finding in checked.findings:
            found += 1
            print(f"{name}:{finding.line}:{finding.column}: {finding.code} {finding.message}")
    print(f"{len(texts)} texts checked, {found} findings", file=sys.stderr)
    return FAILED if found else 0


def _texts_of(paths: list[Path]) -> dict[str, str]:
    if not paths:
        return {f"{query}.kql": render(query, SOURCES[0]) for query in QUERIES}
    try:
        return {str(path): path.read_text(encoding="utf-8-sig") for path in paths}
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(str(error)) from error

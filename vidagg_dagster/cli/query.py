"""The commands `vidagg query` and `vidagg export`: the tables by SQL, and as files."""

import argparse
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vidagg_dagster.cli.arguments import add_command, add_folder, add_for_spreadsheet, settings_of
from vidagg_dagster.core.errors import BadInputError, OutputError

if TYPE_CHECKING:
    import duckdb

MAX_ROWS_SHOWN: Final = 100
FORMATS: Final = ("csv", "parquet", "jsonl")
DEFAULT_FORMAT: Final = "parquet"
DUCKDB_SUFFIX: Final = ".duckdb"

_COPY_OPTIONS: Final = {
    "csv": "FORMAT csv, HEADER",
    "parquet": "FORMAT parquet",
    "jsonl": "FORMAT json",
}


def add_query(commands: Any) -> None:
    """Add `query` to the subcommands of `vidagg`."""
    parser = add_command(
        commands,
        "query",
        help="ask the tables by SQL",
        description="Run a query of DuckDB's SQL over all tables, each a view by its name. "
        "Without a query, list the tables. On a terminal the result is a table, else CSV. "
        "docs/querying.md has a query for each usual question.",
        examples=(
            "vidagg query",
            'vidagg query "describe user_video_engagement"',
            'vidagg query --demo "select * from quality_report limit 5"',
            'vidagg query "from raw_events" --output events.parquet',
        ),
    )
    add_folder(parser)
    parser.add_argument("sql", metavar="SQL", nargs="?", help="the query")
    parser.add_argument(
        "--output", type=Path, help="write to this file; .jsonl, .csv or .parquet says the format"
    )
    add_for_spreadsheet(parser)
    parser.set_defaults(run=_query)


def add_export(commands: Any) -> None:
    """Add `export` to the subcommands of `vidagg`."""
    parser = add_command(
        commands,
        "export",
        help="write the tables as files, or as one DuckDB file",
        description="Write tables as they are now: a file for each into a folder, one table into a "
        "file, or all of them into one DuckDB file.",
        examples=(
            "vidagg export --output exported",
            "vidagg export aggregated_user_video_engagement --output rows.csv",
            "vidagg export aggregated_user_video_engagement --output exported --format csv",
            "vidagg export --demo --output demo.duckdb",
        ),
    )
    add_folder(parser)
    parser.add_argument("tables", metavar="TABLE", nargs="*", help="these only (all)")
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help=f"a folder; a file {DUCKDB_SUFFIX}; of one table also .csv, .parquet or .jsonl",
    )
    parser.add_argument(
        "--format", choices=FORMATS, help=f"of the files in a folder ({DEFAULT_FORMAT})"
    )
    parser.set_defaults(run=_export)


def _query(options: argparse.Namespace) -> int:
    from vidagg_dagster.cli.output import check_output, write_output

    if options.output is not None:
        check_output(options.output, for_spreadsheet=options.for_spreadsheet)
    elif options.for_spreadsheet:
        raise BadInputError("--for-spreadsheet needs --output, a file .csv")
    with closing(_connection(options)) as connection:
        import duckdb

        try:
            relation = connection.sql(options.sql or "SELECT name FROM (SHOW TABLES)")
            if relation is None:
                raise BadInputError("this statement has no result; write a SELECT")
            if options.output is not None:
                rows = relation.to_arrow_table()
                write_output(rows, options.output, for_spreadsheet=options.for_spreadsheet)
            elif sys.stdout.isatty():
                relation.show(max_rows=MAX_ROWS_SHOWN)
            else:
                _print_csv(relation)
        except duckdb.Error as error:
            raise BadInputError(str(error)) from None
    return 0


def _print_csv(relation: "duckdb.DuckDBPyRelation") -> None:
    with tempfile.TemporaryDirectory(prefix="vidagg-") as folder:
        file = Path(folder, "rows.csv")
        relation.write_csv(str(file), header=True)
        sys.stdout.write(file.read_text(encoding="utf-8"))


def _export(options: argparse.Namespace) -> int:
    output: Path = options.output
    if not output.absolute().parent.is_dir():
        raise OutputError(f"{output}: there is no folder {output.parent}; create it first")
    with closing(_connection(options)) as connection:
        there = [name for (name,) in connection.execute("SHOW TABLES").fetchall()]
        unknown = sorted(set(options.tables) - set(there))
        if unknown:
            raise BadInputError(f"no table {', '.join(unknown)}; there are {', '.join(there)}")
        names = options.tables or there
        if output.suffix == DUCKDB_SUFFIX:
            _export_database(connection, names, output)
        elif output.suffix[1:].lower() in FORMATS and not output.is_dir():
            _require_one(names, options)
            _export_file(connection, names[0], output)
        else:
            output.mkdir(exist_ok=True)
            for name in names:
                file = output / f"{name}.{options.format or DEFAULT_FORMAT}"
                _export_file(connection, name, file)
    return 0


def _require_one(names: list[str], options: argparse.Namespace) -> None:
    output: Path = options.output
    if len(names) > 1:
        raise BadInputError(
            f"{output} is one file, and these are {len(names)} tables: name one, or give a folder"
        )
    if options.format and options.format != output.suffix[1:].lower():
        raise BadInputError(f"--format {options.format} does not fit the name {output}")


def _export_database(
    connection: "duckdb.DuckDBPyConnection", names: list[str], output: Path
) -> None:
    """All tables in one file, which appears when it is complete."""
    draft = output.with_name(f".{output.name}.draft")
    draft.unlink(missing_ok=True)
    try:
        connection.execute(f"ATTACH {_text(draft)} AS draft")
        for name in names:
            connection.execute(f'CREATE TABLE draft."{name}" AS FROM "{name}"')
        connection.execute("DETACH draft")
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)
    print(f"{output}: {len(names)} tables")


def _export_file(connection: "duckdb.DuckDBPyConnection", name: str, output: Path) -> None:
    """A table as a file, which appears when it is complete."""
    form = _COPY_OPTIONS[output.suffix[1:].lower()]
    draft = output.with_name(f".{output.name}.draft")
    try:
        connection.execute(f'COPY (FROM "{name}") TO {_text(draft)} ({form})')
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)
    print(output)


def _connection(options: argparse.Namespace) -> "duckdb.DuckDBPyConnection":
    from vidagg_dagster.tables.views import connect

    settings = settings_of(options)
    if not settings.tables_in_files:
        raise BadInputError(f"the tables are in {settings.store.location}; query them there")
    return connect(settings.data_root)


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"

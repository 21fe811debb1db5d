"""The page as HTML: one file, which loads nothing and runs only its own script."""

import base64
import hashlib
from importlib import resources
from pathlib import Path

from markupsafe import Markup

from vidagg_dagster.core.errors import OutputError
from vidagg_dagster.report import charts
from vidagg_dagster.report.contents import Page
from vidagg_dagster.report.gather import read_page
from vidagg_dagster.report.language import LanguageName, language
from vidagg_dagster.report.peaks import MIN_ABOVE_CHANCE, MIN_KEPT, RESAMPLES
from vidagg_dagster.report.scope import DEFAULT_SCOPE, Scope
from vidagg_dagster.tables.disk import write_whole_text


def write_page(
    tables: Path,
    output: Path,
    *,
    scope: Scope = DEFAULT_SCOPE,
    name: LanguageName = "en",
    with_users: bool = True,
) -> Page:
    """Ask the tables of a folder, and write the page; the file appears when it is whole.

    Where it names users, nobody else on the machine may read it; in object storage all who may
    read the bucket can.

    Raises:
        TableError: There are no tables, or none of users and videos.
        OutputError: The file cannot be written.
    """
    page = read_page(tables, scope, language(name), with_users=with_users)
    text = render(page)
    try:
        write_whole_text(output, text, mode=0o600 if with_users else 0o666)
    except OSError as error:
        said = error.strerror or error
        raise OutputError(f"{output}: {said}; name another file by --output") from error
    return page


def render(page: Page) -> str:
    """The page as HTML: one file, which loads nothing and runs only its own script."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False}
    style, script = _part("page.css"), _part("page.js")
    return environment.get_template("page.html").render(
        page=page,
        t=page.language.text,
        form=page.language,
        charts=charts,
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
        kept=MIN_KEPT,
        draws=RESAMPLES,
        chance=MIN_ABOVE_CHANCE,
    )


def _part(name: str) -> str:
    file = resources.files(__package__) / "templates" / name
    return file.read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """What a browser may load and run: the style and the script of the page, and nothing else."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

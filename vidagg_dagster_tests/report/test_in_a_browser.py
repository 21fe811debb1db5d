"""The page as Chromium shows it: numbers, keys, filters, and that nothing leaves it."""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from vidagg_dagster.report.gather import tables_with_something
from vidagg_dagster.report.queries import queries
from vidagg_dagster.report.scope import Scope
from vidagg_dagster.tables.views import connect, table_names
from vidagg_dagster_tests.support.receivers import http_receiver
from vidagg_dagster_tests.support.report_browser import Shown
from vidagg_dagster_tests.support.report_site import (
    AGAIN,
    FORMULA,
    HOSTILE,
    HOSTILE_TITLE,
    IDLE,
    MARKUP,
    VIEWERS,
)

NUMBERS = """[...document.querySelectorAll('[data-column]')].map(element => ({
  query: element.closest('[data-query]').dataset.query,
  row: element.closest('[data-row]')?.dataset.row ?? '',
  column: element.dataset.column,
  text: element.textContent.trim(),
}))"""


@pytest.fixture
def page(shown: Shown, page_file: Path) -> Shown:
    shown.open(page_file)
    return shown


@pytest.fixture(scope="module")
def answers(tables: Path) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """What `vidagg query` says to each query of the page."""
    with closing(connect(tables)) as connection:
        yield {
            name: connection.sql(query.sql).to_arrow_table().to_pylist()
            for name, query in queries(Scope(), tables_with_something(connection)).items()
        }


def test_every_number_is_in_the_answer_to_its_query(
    page: Shown, tables: Path, answers: dict[str, list[dict[str, Any]]]
) -> None:
    asked = queries(Scope(), frozenset(table_names(tables)))
    rows = {
        (name, "|".join(str(row[key]) for key in asked[name].key)): row
        for name, found in answers.items()
        for row in found
    }
    numbers = page.js(NUMBERS)
    assert {number["query"] for number in numbers} == {
        *("overview", "videos", "chapters", "cohorts", "audience"),
        *("attribute_cohorts", "reach"),
        *("outcomes", "reasons", "evidence", "flags"),
    }
    assert len(numbers) >= 100
    for number in numbers:
        value = rows[number["query"], number["row"]][number["column"]]
        if number["text"] == "\u2013":
            assert value is None, number
            continue
        written = number["text"].removesuffix("\u202f%").replace(",", "")
        places = len(written.partition(".")[2])
        assert float(written) == pytest.approx(float(value), abs=0.5001 * 10**-places), number


def test_the_table_of_users_has_the_cells_of_its_query(
    page: Shown, answers: dict[str, list[dict[str, Any]]]
) -> None:
    lines = page.js(
        "[...document.querySelectorAll('table.matrix tbody tr')].map(row =>"
        " [...row.cells].map(cell => cell.textContent.trim()))"
    )
    places = [row["place"] for row in answers["columns"]]
    assert [line[0] for line in lines] == [row["userId"] for row in answers["matrix"]]
    assert {MARKUP, FORMULA, IDLE} <= {line[0] for line in lines}
    for line, row in zip(lines, answers["matrix"], strict=True):
        seen = dict(zip(row["places"], row["seen"], strict=True))
        cells = [_cell(seen[place]) if place in seen else "" for place in places]
        assert line[2:] == cells


def _cell(seen: float | None) -> str:
    return "?" if seen is None else str(round(seen))


def test_every_query_link_leads_to_a_query_that_gives_the_data_of_the_page(
    page: Shown, answers: dict[str, list[dict[str, Any]]]
) -> None:
    dangling = page.js(
        "[...document.querySelectorAll('a[href^=\"#\"]')].map(link => link.hash.slice(1))"
        ".filter(id => !document.getElementById(id))"
    )
    assert dangling == []
    data = page.js("JSON.parse(document.getElementById('data').textContent)")
    assert {*data} == {*answers} - {"rewatching"}
    for name, answer in data.items():
        assert page.js(f"document.querySelector('#q-{name} code').textContent") == answer["sql"]
        assert len(answer["rows"]) == len(answers[name])
        for told, row in zip(answer["rows"], answers[name], strict=True):
            assert told == json.loads(json.dumps([*row.values()], default=_as_text)), name


def _as_text(value: Any) -> str | int:
    return value.isoformat() if hasattr(value, "isoformat") else int(value)


def test_hostile_names_are_text(page: Shown) -> None:
    assert page.js("document.title") == "Video engagement"
    assert page.js("document.scripts.length") == 2
    assert page.js("document.querySelectorAll('img, iframe, b, [style], [onerror]').length") == 0
    headings = page.js("[...document.querySelectorAll('h1')].map(one => one.textContent)")
    assert HOSTILE_TITLE in headings
    assert HOSTILE in page.js(
        "[...document.querySelectorAll('[data-row]')].map(e => e.dataset.row)"
    )


def test_nothing_leaves_the_page_and_nothing_can(page: Shown) -> None:
    assert page.js("performance.getEntriesByType('resource').length") == 0
    with http_receiver() as receiver:
        tried = page.js(
            "(async () => { const seen = [];"
            " document.addEventListener('securitypolicyviolation',"
            "   event => seen.push(event.violatedDirective));"
            f" const to = {json.dumps(receiver.address)};"
            " await fetch(to, {method: 'POST', body: '1', mode: 'no-cors'}).catch(() => 0);"
            " const image = new Image(); image.src = to; document.body.append(image);"
            " const script = document.createElement('script'); script.text = 'document.title = 1';"
            " document.body.append(script);"
            " await new Promise(done => setTimeout(done, 200)); return seen; })()"
        )
        assert receiver.asked == 0
    assert sorted(tried) == ["connect-src", "img-src", "script-src-elem"]
    assert page.js("document.title") == "Video engagement"


def test_keys_lead_everywhere(page: Shown) -> None:
    page.press("Tab")
    page.tab.until("document.activeElement.className === 'to-content'")
    page.press("Enter")
    page.tab.until("document.activeElement.id === 'main'")
    page.js("document.querySelector('nav a').focus()")
    page.press("Tab", "Enter")
    page.tab.until("!document.getElementById('cohorts').hidden")
    visible = "[...document.querySelectorAll('[data-page]:not([hidden])')].map(one => one.id)"
    assert page.js(visible) == ["cohorts"]
    assert page.js("document.querySelector('nav [aria-current]').hash") == "#cohorts"


def test_a_heading_sorts_by_key(page: Shown) -> None:
    first = "document.querySelector('#overview tbody tr').dataset.row"
    page.js("document.querySelectorAll('#overview th button')[2].focus()")
    page.press("Enter")
    assert page.js("document.activeElement.closest('th').ariaSort") == "descending"
    largest = page.js(first)
    page.press("Enter")
    viewers = page.js(
        "[...document.querySelectorAll('#overview [data-query=videos] [data-column=viewers]')]"
        ".map(cell => Number(cell.textContent))"
    )
    assert viewers == sorted(viewers)
    assert page.js(first) != largest


def test_the_slider_reads_the_curve(shown: Shown, page_file: Path) -> None:
    shown.open(page_file, at="v1")
    video = shown.js("document.querySelector('#v1 .anatomy').dataset.video")
    assert video == AGAIN
    shown.js("document.querySelector('#v1 input[type=range]').focus()")
    shown.press(*["ArrowRight"] * 105)
    said = shown.js("document.querySelector('#v1 output').textContent")
    assert said == (
        "1:45\u20131:46: 22 viewers (100.0\u202f%), 0.9 times again by each, 0 stop here, "
        "0 jumps over it"
    )
    assert shown.js("document.querySelector('#v1 .cursor').getAttribute('x1')") == "52.75%"
    shown.js("document.querySelector('#v1 [value=peak]').click()")
    said = shown.js("document.querySelector('#v1 output').textContent")
    assert "(52.4\u202f%)" in said


def test_the_table_of_users_is_filtered_and_downloaded(shown: Shown, page_file: Path) -> None:
    shown.open(page_file, at="matrix")
    shown.js(
        "window.saved = null; URL.createObjectURL = blob => { window.saved = blob; return '#x'; };"
        "HTMLAnchorElement.prototype.click = () => {}; 0"
    )
    fill = (
        "(form => {{ form.elements.{}.value = '{}'; form.dispatchEvent(new Event('input')); }})"
        "(document.forms[0])"
    )
    output = "document.forms[0].querySelector('output').textContent"
    assert shown.js(output) == f"{len(VIEWERS) + 1} of {len(VIEWERS) + 1} users"
    shown.js(fill.format("user", "user-0"))
    assert shown.js(output) == f"10 of {len(VIEWERS) + 1} users"
    shown.js(fill.format("user", ""))
    place = shown.js(
        "[...document.forms[0].elements.video.options].find(one => one.text === 'Welcome').value"
    )
    shown.js(fill.format("video", place))
    shown.js(fill.format("state", "none"))
    assert shown.js(output) == f"1 of {len(VIEWERS) + 1} users"
    shown.js(fill.format("state", "begun"))
    shown.js("document.forms[0].elements.csv.click()")
    # `text()` takes the mark of the byte order away, by which spreadsheets know UTF-8.
    rows = list(csv.reader(io.StringIO(shown.js("window.saved.text()"), newline="")))
    assert len(rows) == 1 + len(VIEWERS)
    assert rows[0][:2] == ["userId", "watchHours"]
    assert HOSTILE in rows[0]
    users = {row[0] for row in rows[1:]}
    assert {f"'{FORMULA}", MARKUP} < users
    assert IDLE not in users

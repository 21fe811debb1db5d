"""What axe-core finds on each part of the page, in light and dark, wide and narrow: nothing."""

from pathlib import Path

import pytest

from vidagg_dagster_tests.support.report_browser import Scheme, Shown, axe_source

FOUND = """axe.run(document, {resultTypes: ['violations']}).then(result => result.violations.map(
  one => `${one.id}: ${one.help}: ${one.nodes.slice(0, 3).map(node => node.html).join(' | ')}`))"""


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 380)])
def test_no_part_of_the_page_violates_a_rule(
    scheme: Scheme, width: int, shown: Shown, page_file: Path
) -> None:
    script = axe_source()
    shown.open(page_file, scheme=scheme, width=width)
    shown.js(script + "; 0")
    parts = shown.js("[...document.querySelectorAll('[data-page]')].map(part => part.id)")
    assert len(parts) == 10
    for part in parts:
        shown.js(f"location.hash = '{part}'")
        shown.tab.until(f"document.getElementById('{part}').checkVisibility()")
        assert shown.js(FOUND) == [], part


def test_a_violation_would_be_found(shown: Shown, page_file: Path) -> None:
    script = axe_source()
    shown.open(page_file)
    shown.js(script + "; document.querySelector('nav').append(document.createElement('button')); 0")
    assert [line.partition(":")[0] for line in shown.js(FOUND)] == ["button-name"]


@pytest.mark.parametrize("width", [380, 1280])
def test_no_part_is_wider_than_the_window(width: int, shown: Shown, page_file: Path) -> None:
    shown.open(page_file, width=width)
    for part in shown.js("[...document.querySelectorAll('[data-page]')].map(part => part.id)"):
        shown.js(f"location.hash = '{part}'")
        shown.tab.until(f"document.getElementById('{part}').checkVisibility()")
        assert shown.js("document.documentElement.scrollWidth") <= width, part


def test_everything_is_printed(shown: Shown, page_file: Path) -> None:
    shown.open(page_file)
    shown.tab.call("Emulation.setEmulatedMedia", media="print")
    visible = shown.js(
        "[...document.querySelectorAll('[data-page]')].map(part => part.checkVisibility())"
    )
    assert len(visible) == 10
    assert all(visible)
    assert shown.js("getComputedStyle(document.querySelector('nav')).display") == "none"
    shown.tab.call("Emulation.setEmulatedMedia", media="")

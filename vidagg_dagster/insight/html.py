"""What the pages of insights share: one HTML file that loads nothing and runs nothing."""

from collections.abc import Iterable
from html import escape
from typing import Final

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #1c2430; background: #fff }
h1, h2 { line-height: 1.2 } h2 { margin-top: 2rem }
table { border-collapse: collapse } td, th { padding: .3rem .8rem .3rem 0; text-align: left;
  border-bottom: 1px solid #dde }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
.refused { border-left: 4px solid #c33; padding: .2rem 1rem; background: #fdf3f3 }
.note { color: #556 } svg { max-width: 100%; height: auto }
"""

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def document(title: str, heading: str, body: Iterable[str], *, refresh_s: int | None = None) -> str:
    """A whole page. `title` and `heading` are texts, `body` is HTML.

    With `refresh_s` a browser opens the page anew after so many seconds.
    """
    again = [] if refresh_s is None else [f'<meta http-equiv="refresh" content="{refresh_s}">']
    return "\n".join(
        [
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>',
            '<meta name="viewport" content="width=device-width">',
            *again,
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<style>{_STYLE}</style><h1>{escape(heading)}</h1>",
            *body,
            "</html>",
            "",
        ]
    )


def picture(width: int, height: int, label: str, drawn: str) -> str:
    """A drawing as SVG, which a page or a file can hold. `label` says what it shows."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'font-family="sans-serif" font-size="13" role="img" aria-label="{escape(label)}">'
        f"{drawn}</svg>"
    )

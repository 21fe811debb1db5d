"""Pages of which a part is generated: the text around it is written by hand."""

from collections.abc import Callable, Iterator, Mapping

Parts = Mapping[str, Callable[[], Iterator[str]]]
"""Name of a generated part -> its lines."""


def renewed(page: str, parts: Parts) -> str:
    """The page with every part between `<!-- NAME: generated -->` and `<!-- NAME: end -->` renewed.

    Raises:
        ValueError: the page lacks a part.
    """
    for name, lines in parts.items():
        begin, end = f"<!-- {name}: generated -->\n", f"<!-- {name}: end -->"
        before, found, rest = page.partition(begin)
        _, found_end, after = rest.partition(end)
        if not (found and found_end):
            raise ValueError(f"the page lacks the part between {begin.strip()} and {end}")
        page = f"{before}{begin}\n" + "".join(f"{line}\n" for line in lines()) + f"\n{end}{after}"
    return page

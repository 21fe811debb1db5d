"""`python -m benchmarks [GROUP ...]`: measures, then rewrites docs/benchmarks.md."""

import argparse
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.machine import machine
from benchmarks.measure import measure
from benchmarks.report import PAGE, draw, keep, load, page


def main() -> None:
    """Measure the chosen groups of cases and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", help=f"of {', '.join(CASES)}; all but large if none")
    parser.add_argument("--folder", type=Path, default=Path("benchmark_data"))
    parser.add_argument("--repeat", type=int, help="rounds of each case, instead of its own number")
    parser.add_argument("--page-only", action="store_true", help="measure nothing")
    options = parser.parse_args()
    groups = options.groups or [name for name in CASES if name != "large"]
    unknown = sorted(set(groups) - set(CASES))
    if unknown:
        parser.error(f"no group {', '.join(unknown)}; there are {', '.join(CASES)}")
    folder = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    results = load()
    for group in [] if options.page_only else groups:
        measured = []
        for one in measure(CASES[group], folder, repeat=options.repeat):
            measured.append(one)
            print(
                f"{one.case}: {one.contestant} {one.seconds:.1f} s, {one.peak_mb} MB {one.extra}",
                flush=True,
            )
            # After each run, because a large case may be interrupted.
            keep(results, machine(), group, measured)
    PAGE.write_text(page(results), encoding="utf-8")
    draw(results)


if __name__ == "__main__":
    main()

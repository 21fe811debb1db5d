"""Measurements -> `docs/benchmarks.md` and its plot, as ratios, since seconds are one machine's."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from benchmarks.measure import REPOSITORY, Measurement

RESULTS = REPOSITORY / "benchmarks" / "results.json"
PAGE = REPOSITORY / "docs" / "benchmarks.md"
PLOT = REPOSITORY / "docs" / "images" / "benchmarks.png"
TEXT = REPOSITORY / "benchmarks" / "page.md"

ACROSS = ("uneven",)
"""Groups whose ratios compare a contestant with itself in the first case of the group."""

STAGES = "stages"
"""The group whose seconds are the processor's, by stage."""

BUSY = 0.6
"""Assumed share of the time in which the cores of a cluster work. For the rest they wait for the
last task, the network and planning."""

Results = dict[str, Any]


def load() -> Results:
    """The results so far: `machines` and `measurements`, both by the name of a group."""
    if not RESULTS.exists():
        return {"machines": {}, "measurements": {}}
    found: Results = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def keep(
    results: Results, machine: Mapping[str, str], group: str, measured: Iterable[Measurement]
) -> None:
    """Replace the earlier measurements of a group, and save all results."""
    results["machines"][group] = dict(machine)
    results["measurements"][group] = [asdict(one) for one in measured]
    save(results)


def save(results: Results) -> None:
    """Write the results to their file."""
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def page(results: Results) -> str:
    """The text of the page, with the table of each group in place of `{{group}}`."""
    text = TEXT.read_text(encoding="utf-8")
    for group, measured in results["measurements"].items():
        table = _stages(measured) if group == STAGES else _tables(measured, across=group in ACROSS)
        text = text.replace("{{" + group + "}}", table)
    if "cluster" in results:
        text = text.replace("{{cluster}}", _cluster(results["cluster"]))
        text = text.replace("{{estimate}}", _estimate(results["cluster"]))
        text = text.replace("{{busy}}", f"{BUSY:.0%}")
    text = text.replace("{{machine}}", _machines(results["machines"]))
    return re.sub(r"{{\w+}}", "Not measured yet.", text)


def _machines(machines: Mapping[str, Mapping[str, str]]) -> str:
    """A line for each machine, with the groups that it measured: ratios are a machine's own."""
    groups: dict[str, list[str]] = {}
    for group, machine in machines.items():
        told = ", ".join(f"{name} {value}" for name, value in machine.items())
        groups.setdefault(told, []).append(f"`{group}`")
    return "\n".join(f"- {', '.join(sorted(names))}: {told}" for told, names in groups.items())


def _by_case(measured: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, list[Any]]]:
    cases: dict[str, dict[str, list[Any]]] = {}
    for one in measured:
        cases.setdefault(one["case"], {}).setdefault(one["contestant"], []).append(one)
    return cases


def _tables(measured: Sequence[Mapping[str, Any]], *, across: bool) -> str:
    lines = [
        "| case | contestant | ratio | seconds (median) | peak memory |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    cases = _by_case(measured)
    for case, contestants in cases.items():
        for name, runs in contestants.items():
            base = next(iter(cases.values()))[name] if across else next(iter(contestants.values()))
            seconds, whole = (median(run["seconds"] for run in some) for some in (runs, base))
            peak = max(run["peak_mb"] for run in runs) / 1024
            lines.append(
                f"| {case} | {name} | {seconds / whole:.2f} | {seconds:.1f} | {peak:.1f} GB |"
            )
            for more in runs[0]["extra"]:
                further = median(run["extra"][more] for run in runs)
                lines.append(
                    f"| {case} | {name}, {more} | {further / whole:.2f} | {further:.1f} | |"
                )
    return "\n".join(lines)


def _stages(measured: Sequence[Mapping[str, Any]]) -> str:
    """Processor time by stage, the median of the runs."""
    seconds = {
        name: median(run["extra"][name] for run in measured) for name in measured[0]["extra"]
    }
    whole = sum(seconds.values())
    lines = ["| stage | processor seconds | share |", "| --- | ---: | ---: |"]
    lines += [f"| {name} | {took:.1f} | {took / whole:.0%} |" for name, took in seconds.items()]
    lines.append(f"| **together** | **{whole:.1f}** | |")
    return "\n".join(lines)


def _cluster(cluster: Mapping[str, Any]) -> str:
    events = cluster["events"]
    lines = [
        "| step | tasks | task time per event | shuffled per event | longest task |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for cost in cluster["steps"]:
        lines.append(
            f"| {cost['step']} | {cost['tasks']} | {cost['task_seconds'] / events * 1e6:.1f} us "
            f"| {cost['shuffle_bytes'] / events:.0f} B | {cost['largest_task_seconds']:.1f} s |"
        )
    total = sum(cost["task_seconds"] for cost in cluster["steps"]) / events * 1e6
    shuffled = sum(cost["shuffle_bytes"] for cost in cluster["steps"]) / events
    lines.append(f"| **together** | | **{total:.1f} us** | **{shuffled:.0f} B** | |")
    return "\n".join(lines)


def _estimate(cluster: Mapping[str, Any]) -> str:
    """Time on clusters: task time per event x events / cores / `BUSY`."""
    per_event = sum(cost["task_seconds"] for cost in cluster["steps"]) / cluster["events"]
    shuffled = sum(cost["shuffle_bytes"] for cost in cluster["steps"]) / cluster["events"]
    lines = [
        "| events a day | core hours | shuffled | 32 cores | 128 cores | 512 cores |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, events in (("1 G", 1e9), ("10 G", 1e10)):
        hours = per_event * events / 3600
        times = (f"{hours / cores / BUSY * 60:.0f} min" for cores in (32, 128, 512))
        lines.append(
            f"| {name} | {hours:.0f} | {shuffled * events / 1e9:.0f} GB | {' | '.join(times)} |"
        )
    return "\n".join(lines)


def draw(results: Results) -> None:
    """Draw the times of the lifetime and daily cases as multiples of DuckDB's."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    cases = {
        case: contestants
        for group in ("lifetime", "daily", "large")
        for case, contestants in _by_case(results["measurements"].get(group, [])).items()
        if "DuckDB" in contestants
    }
    figure, axes = plt.subplots(
        len(cases),
        1,
        figsize=(8, 1.1 + 0.36 * sum(len(case) + 1.6 for case in cases.values())),
        gridspec_kw={"height_ratios": [len(case) for case in cases.values()]},
        layout="constrained",
    )
    for axis, (case, contestants) in zip(axes, cases.items(), strict=True):
        seconds = {n: median(r["seconds"] for r in runs) for n, runs in contestants.items()}
        base = seconds["DuckDB"]
        names = list(seconds)[::-1]
        ratios = [seconds[name] / base for name in names]
        ours = ["vidagg" in name or "daily" in name for name in names]
        bars = axis.barh(names, ratios, color=["#1b6ca8" if own else "#b8bec4" for own in ours])
        axis.bar_label(bars, [f"{ratio:.2f}x" for ratio in ratios], padding=4, fontsize=9)
        axis.axvline(1, color="#444444", linewidth=0.8, linestyle=":")
        axis.set_title(case, loc="left", fontsize=10, fontweight="bold")
        axis.set_xlim(0, max(*ratios, 1) * 1.15)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=9)
    axes[-1].set_xlabel("time as a multiple of DuckDB computing the same rows (less is better)")
    PLOT.parent.mkdir(exist_ok=True)
    figure.savefig(PLOT, dpi=130)
    plt.close(figure)

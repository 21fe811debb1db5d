"""Runs one wheel task: `python task_process.py JSON`. The JSON names the task and its parameters.

It starts by path in its own process, so that only the wheel provides our package.
"""

import importlib.metadata
import json
import sys
import traceback
from pathlib import Path
from typing import Any


def run(order: dict[str, Any]) -> None:
    for name in order["blocked"]:
        sys.modules[name] = None  # type: ignore[assignment]
    sys.path[:] = [*order["wheels"], *sys.path[1:]]
    # Databricks looks for the name among the entry points of the package.
    found = importlib.metadata.distributions(name=order["package"], path=order["wheels"])
    points = [p for d in found for p in d.entry_points if p.name == order["entry_point"]]
    if not points:
        raise LookupError(f"the wheels have no entry point {order['entry_point']}")
    function = points[0].load()
    module = sys.modules[points[0].module]
    if not str(module.__file__).startswith(tuple(order["wheels"])):
        raise ImportError(f"{module.__file__} is not from the wheel")
    sys.argv = [order["entry_point"], *order["parameters"]]
    function()


def main() -> None:
    order = json.loads(sys.argv[1])
    try:
        run(order)
    except BaseException as error:
        told = {
            "error": f"{type(error).__name__}: {error}",
            # Databricks colours the traces of Python tasks.
            "error_trace": f"\x1b[0;31m{traceback.format_exc()}\x1b[0m",
        }
        Path(order["outcome"]).write_text(json.dumps(told))
        sys.exit(1)


if __name__ == "__main__":
    main()

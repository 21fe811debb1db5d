"""Reads the resources of an asset bundle by the types that Databricks generates from its schema.

`python bundle_types.py < resources.json`, in an environment with `databricks-bundles`. It ends with
an error at the first key, type or privilege that they do not have.
"""

import json
import sys
from importlib import import_module

TYPES = {"schemas": "Schema", "volumes": "Volume"}


def main() -> None:
    for kind, resources in json.load(sys.stdin).items():
        # Not imported by name: the environment of the other tests has no such package.
        known = getattr(import_module(f"databricks.bundles.{kind}"), TYPES[kind])
        for values in resources.values():
            known.from_dict(values)
    print("known")


if __name__ == "__main__":
    main()

"""Sensors, one module each. Both are off until someone switches them on.

What they decide is in plain functions; only the edge knows Dagster's ticks and cursors.
"""

"""The version of the package, as the ground floor knows it."""

__version__ = "0.3.0"

"""The error classes of the package, for tests that hold for each of them."""

from vidagg_dagster.core.errors import VidaggError


def _with_subclasses(kind: type[VidaggError]) -> list[type[VidaggError]]:
    return [kind, *(found for below in kind.__subclasses__() for found in _with_subclasses(below))]


ERRORS = tuple(
    kind for kind in _with_subclasses(VidaggError) if kind.__module__ == VidaggError.__module__
)

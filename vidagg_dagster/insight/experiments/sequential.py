"""Intervals that stay valid however often one looks: the normal mixture.

For a mean of n units with standard error s, and a mixture of variance rho2 (in units of the inverse
of the variance of a unit), the interval

    estimate +- s * sqrt(2 (n rho2 + 1) / (n rho2) * log(sqrt(n rho2 + 1) / alpha))

contains the truth at all n at once with probability 1 - alpha, as n grows (Waudby-Smith, Arbour,
Sinha, Kennedy, Ramdas 2021, theorem 2.2). rho2 is chosen for the narrowest interval at the number
of units that was planned. It must not be changed while the experiment runs.
"""

from math import log, sqrt


def mixture_variance(planned_units: int, alpha: float) -> float:
    """The `rho2` that makes the interval about as narrow as it can be at `planned_units`."""
    tail = -2 * log(alpha)
    return (tail + log(tail) + 1) / planned_units


def half_width(standard_error: float, units: int, planned_units: int, alpha: float) -> float:
    """Half the width of the interval at `units` units, both arms together."""
    information = units * mixture_variance(planned_units, alpha)
    boundary = 2 * (information + 1) / information * log(sqrt(information + 1) / alpha)
    return standard_error * sqrt(boundary)

"""Numbers as text for people."""


def spaced(number: int) -> str:
    """An integer in groups of three: 12 345."""
    return f"{number:,}".replace(",", " ")


def clock(seconds: float) -> str:
    """Seconds as `12 h 03 min`."""
    minutes = round(seconds / 60)
    return f"{spaced(minutes // 60)} h {minutes % 60:02d} min"

"""How fast vidagg is, against what a user would pick instead, on generated events."""

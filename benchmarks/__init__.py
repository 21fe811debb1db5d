"""How fast vidagg is on generated events, compared with what a user would choose instead."""

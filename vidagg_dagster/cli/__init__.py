"""The command line: `vidagg`."""

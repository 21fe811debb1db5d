"""The settings: `VIDAGG_*` variables and `.env`, checked as a whole."""

"""Today, as far as events have arrived: by the fold of the daily run, for the users they touch."""

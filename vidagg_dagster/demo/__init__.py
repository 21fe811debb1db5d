"""A generated video site: ten days of player events from a seed, and the run over them."""

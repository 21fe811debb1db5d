"""A made-up video site: ten days of player events, generated with a seed, and the run over them."""

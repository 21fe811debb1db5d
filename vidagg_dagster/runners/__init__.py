"""Where a step runs: the protocol of runners, the local one, and the lines they log."""

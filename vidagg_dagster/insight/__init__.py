"""What analysts ask: curves, figures, cohorts, reach, audience, chapters, experiments, completion."""

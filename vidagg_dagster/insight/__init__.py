"""What analysts ask: curves, figures, cohorts, audience, chapters, experiments, completion."""

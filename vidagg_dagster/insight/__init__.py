"""What analysts ask: curves, figures, cohorts, reach, chapters, experiments, completion."""

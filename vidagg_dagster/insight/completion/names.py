"""What the forecast is called where it is kept."""

from typing import Final

TABLE_NAME: Final = "completion_survival"

COHORTS_NAME: Final = "completion_cohorts"

FOLDER: Final = "completion"
"""Where the page and the evaluation are, below the folder of the tables."""

EVALUATION: Final = "evaluation.json"
PAGE: Final = "completion.html"

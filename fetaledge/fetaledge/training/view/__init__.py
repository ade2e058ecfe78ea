"""Learning when not to measure: from frames of the model's own view, of other views, and of none."""

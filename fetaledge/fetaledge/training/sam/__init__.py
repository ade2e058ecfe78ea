"""Training of a SAM."""

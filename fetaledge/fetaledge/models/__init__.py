"""Networks, and the parts of them that are trained."""

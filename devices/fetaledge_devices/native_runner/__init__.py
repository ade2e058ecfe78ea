"""Phones without Python: a native runner on the engines' own libraries, and the frames and logits that it exchanges."""

"""Whether a frame shows the view that a model was made for: plain descriptions of picture and outline, and a score."""

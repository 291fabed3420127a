"""How far a set of images is from real ones: features, their statistics, the scores."""

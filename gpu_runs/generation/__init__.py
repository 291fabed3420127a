"""Images from seeds, in batches, by one process or several."""

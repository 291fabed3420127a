"""Sets of images and arrays, read from disk as data; files written whole or not at all."""

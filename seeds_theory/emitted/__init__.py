"""The code that plans run: made by `make emitted` from the formulas in symbols, and not to be edited.

`methods` says what there is; a module for each method has its step; `forms`, `moments` and `predictions` have
the rest. A test makes all of it again, and compares.
"""

"""Tables of many samplers on one network."""

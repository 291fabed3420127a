"""Whether the log-density of a step belongs to it: of other people's steps with a log-probability."""

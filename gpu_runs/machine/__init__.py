"""Where networks compute, and the processes of one run."""

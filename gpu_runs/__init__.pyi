from gpu_runs.checkpoints.checkpoint import load_checkpoint as load_checkpoint
from gpu_runs.errors import CheckpointError as CheckpointError

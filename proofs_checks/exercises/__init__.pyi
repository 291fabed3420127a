from proofs_checks.exercises.answers import Reply as Reply
from proofs_checks.exercises.answers import check as check
from proofs_checks.exercises.answers import exercise_names as exercise_names

from seeds_theory.baselines.registered import BASELINES as BASELINES
from seeds_theory.baselines.run import Baseline as Baseline
from seeds_theory.baselines.run import Declared as Declared
from seeds_theory.baselines.run import Run as Run

"""From a pipeline to a plan: structure built without values, order checked, one key per step, what is reused."""

from snncompress.plan.keys import canonical, key_of, metric_key, versions
from snncompress.plan.plan import Plan, PlannedStep, is_finished, make_plan, make_plans, seed_folder

__all__ = [
    "Plan",
    "PlannedStep",
    "canonical",
    "is_finished",
    "key_of",
    "make_plan",
    "make_plans",
    "metric_key",
    "seed_folder",
    "versions",
]

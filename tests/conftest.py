import os

# Before torch is imported: trials and tests use one thread each, so that neither waits for the other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings

# A busy machine must not turn a slow example into a failure, and a failure must come again in the next run.
settings.register_profile("automl", deadline=None, derandomize=True)
settings.load_profile("automl")

"""What all tests of the package share."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is no reason to fail: the first example may have to load Airflow.
settings.register_profile("full", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=20)
settings.load_profile("full")

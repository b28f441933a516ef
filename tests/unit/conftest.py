"""What the unit tests share."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is no reason to fail: rendering the first template takes a while.
settings.register_profile("full", deadline=None, max_examples=30)
settings.register_profile("quick", deadline=None, max_examples=5)
settings.load_profile("full")

"""The first task of a run, which takes its job."""

from ...dags.operators import CWLJobDispatcher

__all__ = ["CWLJobDispatcher"]

"""The last task of a run, which collects its outputs."""

from ...dags.operators import CWLJobGatherer

__all__ = ["CWLJobGatherer"]

"""The task of a step."""

from ...dags.operators import CWLStepOperator

__all__ = ["CWLStepOperator"]

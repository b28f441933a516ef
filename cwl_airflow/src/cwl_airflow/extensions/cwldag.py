"""The DAG of a CWL document."""

from ..dags.dag import CWLDAG

__all__ = ["CWLDAG"]

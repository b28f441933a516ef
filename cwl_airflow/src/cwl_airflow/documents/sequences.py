"""Copying what ruamel.yaml reads: a sequence, and where its parts stand in the file."""

from __future__ import annotations

import copy
from typing import Any

from ruamel.yaml.comments import CommentedSeq


def mend_deepcopy() -> None:
    """Let copying a sequence take time by its length, and not by the square of it.

    ruamel.yaml (0.19.1) copies what it knows of a whole sequence again after each of its parts. cwltool copies jobs and
    documents many times, and how something is copied is for its class alone to say.
    """
    CommentedSeq.__deepcopy__ = _deepcopy  # type: ignore[method-assign,assignment]


def _deepcopy(sequence: CommentedSeq, memo: dict[int, Any]) -> CommentedSeq:
    copied = sequence.__class__()
    memo[id(sequence)] = copied
    for part in sequence:
        list.append(copied, copy.deepcopy(part, memo))
    if len(sequence):
        sequence.copy_attributes(copied, memo=memo)
    return copied

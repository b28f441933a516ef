"""Make the README the first page, and name files of the repository that links lead to (a hook of MkDocs)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

PROJECT = Path(__file__).parents[1]
#: A link to a file beside docs/: its text, and the path.
OUTSIDE = re.compile(r"(?<!!)\[([^\]]+)\]\(\.\./([^)#\s]+)[^)]*\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the README as the first page."""
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    # Where the repository is knows the page that shows it there alone.
    text = re.sub(r"^\[!\[.*\n", "", text, flags=re.MULTILINE)
    # Its links are those of the repository's root.
    text = re.sub(r"\]\(docs/", "](", re.sub(r"\]\((?!docs/|https?:|#)", "](../", text))
    files.append(File.generated(config, "index.md", content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Name a file that no page shows, in place of a link to it."""
    return OUTSIDE.sub(
        lambda found: f"{found[1]} (`{found[2]}`)" if found[1] != found[2] else f"`{found[2]}`", markdown
    )

"""What the page of a DAG says of its document, in Markdown."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from ..documents.plan import AboutDocument, AboutParameter
from ..documents.types import type_text

#: Characters of a default that are shown.
LONGEST_DEFAULT = 80
#: Characters of a line of text, and of the whole text of a document: Airflow keeps it with each version of the DAG.
LONGEST_LINE, LONGEST_TEXT = 200, 20_000


def dag_description(about: AboutDocument) -> str | None:
    """Return the line that lists of DAGs have; none if the document has no words for it."""
    text = about.label or next(iter(about.doc.splitlines()), "")
    return shorten(" ".join(text.split()), LONGEST_LINE) or None


def dag_tags(about: AboutDocument, own: Iterable[str] = ()) -> set[str]:
    """Return the tags by which a document is found, beside those that its DAG file gives.

    Of those that a database takes for the same there is one.
    """
    words = (word.strip()[:100] for word in about.keywords)
    tags = {_folded(tag): tag for tag in reversed(["cwl", f"cwl {about.version}".strip(), *filter(None, words)])}
    for tag in own:
        tags.pop(_folded(tag), None)
    return set(tags.values())


def _folded(tag: str) -> str:
    """Return a tag as a database compares it (MySQL's ``utf8mb4_unicode_ci``): without case, accents and odd signs."""
    plain = unicodedata.normalize("NFKD", tag).casefold()
    kept = (sign if sign < "\U00010000" else "\ufffd" for sign in plain if unicodedata.category(sign)[0] not in "MC")
    return "".join(kept).strip()


def dag_page(about: AboutDocument, source: str) -> str:
    """Return the text of a DAG's page.

    :param source: path or URL of the document.
    """
    parts = [
        f"### {_plain(about.label)}" if about.label else "",
        closed(shorten(about.doc.strip(), LONGEST_TEXT)),
        _table("Inputs", about.inputs, "The job needs no inputs."),
        _table("Outputs", about.outputs, "There are no outputs."),
        _list("Container images", about.images),
        f"{about.kind} of CWL {about.version}: {_link(source) if '://' in source else _code(source)}",
    ]
    # It must not end in the name of a file: Airflow would look for that.
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(title: str, parameters: Iterable[AboutParameter], none: str) -> str:
    rows = [f"| {_code(each.name)} | {_code(type_text(each.type))} | {_about(each)} |" for each in parameters]
    return (
        "\n".join([f"**{title}**", "", "| Name | Type | What it is |", "| --- | --- | --- |", *rows]) if rows else none
    )


def _about(parameter: AboutParameter) -> str:
    words = [
        _plain(parameter.label),
        _plain(parameter.doc),
        "" if parameter.default is None else f"Default: {_code(shorten(_json(parameter.default), LONGEST_DEFAULT))}",
        *facts(parameter),
    ]
    return ". ".join(word.rstrip(".") for word in words if word)


def facts(parameter: AboutParameter) -> list[str]:
    """Return what else is known of an input or an output, in Markdown."""
    return [
        f"Format: {', '.join(_code(each) for each in parameter.formats)}" if parameter.formats else "",
        f"With {', '.join(_code(each) for each in parameter.secondary)} beside it" if parameter.secondary else "",
    ]


def closed(text: str) -> str:
    """Return Markdown in which a block of code that was begun ends: all that follows would be in it."""
    fences = re.findall(r"^ {0,3}(`{3,}|~{3,})", text, re.MULTILINE)
    return f"{text}\n{fences[-1]}" if len(fences) % 2 else text


def _link(url: str) -> str:
    """Return a URL without what may be a login or a signature in it."""
    parts = urlsplit(url)
    return f"<{parts._replace(netloc=parts.netloc.rpartition('@')[2], query='').geturl()}>"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _list(title: str, names: Iterable[str]) -> str:
    lines = [f"- {_code(name)}" for name in names]
    return "\n".join([f"**{title}**", "", *lines]) if lines else ""


def _plain(text: str) -> str:
    """Return a text that fits into a line of a table."""
    return shorten(" ".join(text.split()), LONGEST_LINE).replace("\\", "\\\\").replace("|", "\\|")


def _code(text: str) -> str:
    """Return a text as it is, in a table as well, where a code may not have a bar after a backslash."""
    if "|" in text and "\\" in text:
        return _plain(text)
    return as_code(text.replace("|", "\\|"))


def as_code(text: str) -> str:
    """Return a text as it is, in a line of Markdown: no backticks in it end the code."""
    line = " ".join(text.split())
    longest = max(map(len, re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {line} {fence}" if longest else f"`{line}`"


def shorten(text: str, length: int) -> str:
    """Return the beginning of a text."""
    return text if len(text) <= length else f"{text[:length]}…"

"""Parsing the YAML of documents by libyaml: most of the time that reading one takes goes into ruamel.yaml's parser.

What comes out is what ruamel.yaml makes for schema-salad, with the line and column of each part, but for comments and
for how text was quoted, which nobody asks for. What is unusual, or wrong, is left to ruamel.yaml.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

import yaml
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError
from schema_salad.ref_resolver import Loader
from schema_salad.sourceline import add_lc_filename
from schema_salad.utils import yaml_no_ts

#: Where libyaml and ruamel.yaml differ, or may.
_UNUSUAL = re.compile(r"[\r\x85\u2028\u2029\ufeff]|^(%|\.\.\.)", re.MULTILINE)
_NUMBER = re.compile(r"-?[1-9][0-9]*")
#: How deep mappings and sequences may be in each other.
_DEEPEST = 100
#: None if PyYAML was built without libyaml.
_LOADER: Any = getattr(yaml, "CBaseLoader", None)


class Unusual(Exception):
    """Something that is to be left to ruamel.yaml."""


class DocumentLoader(Loader):
    """Loads documents as schema-salad does, but parses files by libyaml."""

    @classmethod
    def like(cls, loader: Loader) -> DocumentLoader:
        """Return one that knows what another loader knows."""
        return cls(
            loader.ctx,
            schemagraph=loader.graph,
            foreign_properties=loader.foreign_properties,
            idx=loader.idx,
            cache=loader.cache,
            session=loader.session,
            fetcher_constructor=loader.fetcher_constructor,
            skip_schemas=loader.skip_schemas,
            url_fields=loader.url_fields,
            allow_attachments=loader.allow_attachments,
            doc_cache=False,
            salad_version=loader.salad_version,
        )

    def fetch(self, url: str, inject_ids: bool = True, content_types: list[str] | None = None) -> Any:
        """Return a document, which is not resolved yet, and note it."""
        if url not in self.idx and inject_ids and url.startswith("file:"):
            self._parse(url)
        return super().fetch(url, inject_ids, content_types)

    def _parse(self, url: str) -> None:
        """Note a document in the index, unless it is to be left to schema-salad, which also says what is wrong."""
        try:
            result, *attachments = parse_documents(self.fetch_text(url))
        except Exception:
            return
        if not isinstance(result, CommentedMap):
            return
        # As schema-salad does.
        if self.allow_attachments is not None and self.allow_attachments(result):
            for number, attachment in enumerate(attachments, 1):
                self.idx[f"{url}#attachment-{number}"] = attachment
        add_lc_filename(result, url)
        given = [identifier for identifier in self.identifiers if identifier in result]
        for identifier in given:
            self.idx[self.expand_url(result[identifier], url, scoped_id=True)] = result
        if self.identifiers and not given:
            result[self.identifiers[0]] = url
        self.idx[url] = result


def parse_documents(text: str) -> list[Any]:
    """Return the documents in a text.

    :raises Unusual: ruamel.yaml should have it.
    :raises yaml.YAMLError: it is no YAML.
    """
    if _UNUSUAL.search(text) or _LOADER is None:
        raise Unusual
    documents = CommentedSeq()
    #: What is open, from the outside to the inside, and of each mapping the key that has no value yet, and its place.
    inside: list[tuple[CommentedMap | CommentedSeq, Any]] = [(documents, None)]
    events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
    tabs = text.count("\t")
    for event in events:
        kind = type(event)
        if kind in _ENDS:
            inside.pop()
        if kind not in _VALUES:
            if kind is yaml.AliasEvent or (kind is yaml.DocumentStartEvent and (event.version or event.tags)):
                raise Unusual
            continue
        if event.anchor or event.tag or len(inside) > _DEEPEST:
            raise Unusual
        into, key = inside[-1]
        place = [event.start_mark.line, event.start_mark.column]
        value = _scalar_value(event) if kind is yaml.ScalarEvent else _VALUES[kind]()
        if isinstance(into, CommentedSeq):
            into.lc.add_idx_line_col(len(into), place)
            list.append(into, value)
        elif key is None:
            if type(value) is not str or value in into:
                raise Unusual
            inside[-1] = into, (value, place)
            continue
        else:
            into.lc.add_kv_line_col(key[0], [*key[1], *place])
            into[key[0]] = value
            inside[-1] = into, None
        if kind is not yaml.ScalarEvent:
            value._yaml_set_line_col(*place)
            inside.append((value, None))
        elif event.style in _BLOCK:
            tabs -= value.count("\t")
    if tabs:  # between other things, where only libyaml takes them
        raise Unusual
    return list(documents)


#: The events of libyaml that give a value, and what it is; those that end one; styles of text that has lines.
_VALUES: dict[type, Any] = {
    yaml.ScalarEvent: None,
    yaml.MappingStartEvent: CommentedMap,
    yaml.SequenceStartEvent: CommentedSeq,
}
_ENDS = (yaml.MappingEndEvent, yaml.SequenceEndEvent)
_BLOCK = ("|", ">")


def _scalar_value(event: Any) -> Any:
    """Return what a scalar means."""
    if event.style in _BLOCK and event.value[:1] in ("", "\n"):
        raise Unusual  # ruamel.yaml does not take each line that is empty
    return _plain_value(event.value) if event.implicit[0] else event.value


_CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def _plain_value(text: str) -> Any:
    """Return what a plain scalar means."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text == "<<":
        raise Unusual
    if text[0] not in "+-.0123456789=":
        return text
    if _NUMBER.fullmatch(text):
        return int(text)
    # Nothing that has several words is anything but text, and could be a document with marks of its own.
    return text if len(text.split()) > 1 else _odd_value(text)


@functools.lru_cache(1000)
def _odd_value(text: str) -> Any:
    try:
        value = yaml_no_ts().load(text)
    except MarkedYAMLError as error:
        raise Unusual from error
    if isinstance(value, (int, float)) or value == text:
        return value
    raise Unusual

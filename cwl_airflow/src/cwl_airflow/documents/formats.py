"""Which formats are kinds of which others: what cwltool asks ontologies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import rdflib.util
from rdflib import OWL, RDFS, Graph, URIRef

# Loaded for what it does to rdflib: JSON-LD is not read.
from ..gate import hooks  # noqa: F401

#: URIs of a format, of what it is to the other one, and of the other one.
Term = tuple[str, str, str]
#: By these cwltool finds the way from one to the other (`cwl_utils.file_formats.formatSubclassOf`).
RELATIONS = (RDFS.subClassOf, OWL.equivalentClass)


class Ontologies(Graph):
    """A graph of formats, which are read when somebody asks: few tasks do."""

    def __init__(self, read: Callable[[], Iterable[Term]]) -> None:
        """Note where to read them.

        :param read: returns them.
        """
        super().__init__()
        self._read: Callable[[], Iterable[Term]] | None = read

    def triples(self, triple: Any) -> Iterator[Any]:  # type: ignore[override]  # that has overloads
        """Find what matches a pattern (called by cwl-utils)."""
        if read := self._read:
            self._read = None
            for term in read():
                self.add((URIRef(term[0]), URIRef(term[1]), URIRef(term[2])))
        yield from super().triples(triple)


def read_terms(text: str, uri: str) -> list[Term]:
    """Return what an ontology says of formats, in the forms that schema-salad reads.

    :param uri: where its text comes from.
    :raises ValueError: it has none of these forms.
    """
    wrong = ""
    for form in dict.fromkeys((rdflib.util.guess_format(uri), "xml", "turtle")):
        graph = Graph()
        try:
            graph.parse(data=text, format=form, publicID=uri)
        except Exception as error:  # each parser has its own
            wrong = wrong or " ".join(str(error).split())
            continue
        found = ((each, relation, other) for relation in RELATIONS for each, other in graph.subject_objects(relation))
        # Anything but a URI leads nowhere.
        return sorted(
            (str(each), str(relation), str(other))
            for each, relation, other in found
            if isinstance(each, URIRef) and isinstance(other, URIRef)
        )
    raise ValueError(f"neither RDF/XML nor Turtle: {wrong}")

"""Look now and then how the site is, and find out what is news of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

#: How often one looks, in seconds. Each time the broker is asked, and writes so into its log.
INTERVAL = 120.0

#: What is wrong, by part.
Problems: TypeAlias = Mapping[str, str]


class SiteWatch:
    """Knows what was wrong at the last two looks, as a service that starts again is no news, and who was told what."""

    def __init__(self, find_problems: Callable[[], Problems], clock: Callable[[], float]) -> None:
        """Know nothing yet.

        :param find_problems: returns what is wrong, also while the database is away.
        :param clock: tells the time in seconds; never back.
        """
        self._find_problems = find_problems
        self._clock = clock
        self._due = clock()
        self._looks: list[Problems] = []
        #: By who is told: all that was said to be wrong since all was well.
        self._told: dict[str, frozenset[str]] = {}

    def look(self) -> None:
        """Look, if it is time to."""
        if self._clock() >= self._due:
            self._due = self._clock() + INTERVAL
            self._looks = [*self._looks[-1:], self._find_problems()]

    def find_news(self, who: str) -> Problems | None:
        """Return what somebody is to be told: what is wrong, or nothing as all is well again; none if nothing is news.

        :param who: the route of those who are told.
        """
        if len(self._looks) < 2:
            return None
        before, now = self._looks
        told = self._told.get(who, frozenset())
        if told and not before and not now:
            return {}
        lasting = {name: text for name, text in now.items() if name in before}
        return lasting if lasting.keys() - told else None

    def note_told(self, who: str, names: Iterable[str]) -> None:
        """Note what somebody was told to be wrong; nothing if all is well again."""
        names = frozenset(names)
        self._told[who] = self._told.get(who, frozenset()) | names if names else names

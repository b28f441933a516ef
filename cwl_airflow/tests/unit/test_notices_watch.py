"""What is news of a site."""

from __future__ import annotations

import pytest
from cwl_airflow.notices.watch import INTERVAL, SiteWatch


class Site:
    """A site whose parts the test breaks and mends, and who is told."""

    def __init__(self) -> None:
        """Be well."""
        self.time = 0.0
        self.wrong: dict[str, str] = {}
        self.looks = 0
        self.watch = SiteWatch(self.find, lambda: self.time)

    def find(self) -> dict[str, str]:
        """Return what is wrong."""
        self.looks += 1
        return dict(self.wrong)

    def told(self, *wrong: str, who: str = "mail") -> list[str] | None:
        """Look with these parts wrong, and return the parts that somebody is told of."""
        self.wrong = dict.fromkeys(wrong, "broken")
        self.watch.look()
        self.time += INTERVAL
        news = self.watch.find_news(who)
        if news is not None:
            self.watch.note_told(who, news)
        return None if news is None else list(news)


@pytest.fixture
def site() -> Site:
    return Site()


def test_a_site_that_is_well_is_no_news(site: Site) -> None:
    assert [site.told() for _ in range(3)] == [None, None, None]


def test_what_lasts_is_told_once_and_that_all_is_well_again(site: Site) -> None:
    looks = [site.told("Broker") for _ in range(4)] + [site.told() for _ in range(3)]
    assert looks == [None, ["Broker"], None, None, None, [], None]
    assert [site.told("Broker"), site.told("Broker")] == [None, ["Broker"]]


def test_what_is_wrong_for_a_moment_is_not_told(site: Site) -> None:
    assert [site.told(*wrong) for wrong in ([], ["Broker"], [], ["Disk"], ["Broker"], [])] == [None] * 6


def test_a_further_part_is_told_and_one_that_is_mended_is_not(site: Site) -> None:
    looks = [["Broker"], ["Broker"], ["Broker", "Disk"], ["Broker", "Disk"], ["Disk"], ["Broker", "Disk"], ["Broker"]]
    assert [site.told(*wrong) for wrong in looks] == [None, ["Broker"], None, ["Broker", "Disk"], None, None, None]


def test_one_looks_now_and_then(site: Site) -> None:
    for site.time in (0.0, 1.0, INTERVAL - 1, INTERVAL):
        site.watch.look()
    assert site.looks == 2


def test_a_look_that_fails_is_not_repeated_at_once(site: Site) -> None:
    def fail() -> dict[str, str]:
        site.looks += 1
        raise OSError

    watch = SiteWatch(fail, lambda: site.time)
    with pytest.raises(OSError):
        watch.look()
    watch.look()
    assert site.looks == 1


def test_each_who_is_told_has_news_of_their_own(site: Site) -> None:
    site.watch.note_told("mail", ["Broker"])  # before the service started
    assert site.told("Broker") is None
    assert site.told("Broker") is None
    assert site.told("Broker", who="site") == ["Broker"]
    assert [site.told(), site.told(), site.told(who="site")] == [None, [], []]

"""Documents from addresses that nobody wants: blocked domains and pages, and words in URLs (as Penedo et al., 2023)."""

from __future__ import annotations

import dataclasses
import functools
import re
from dataclasses import field
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from openseek.data.transform import Filter, Rule, at_most

if TYPE_CHECKING:
    from openseek.data.transform import Statistics

WORD = re.compile(r"[^\W\d_]+")
SCHEME = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//")
PATH = re.compile("[/?]")
RULES = ("url_domain", "url_address", "url_hard_words", "url_soft_words", "url_substrings")
NOTHING: tuple[list[str], ...] = ([],) * len(RULES)


class Blocked(NamedTuple):
    """What the lists hold, ready to be looked up."""

    domains: frozenset[str]
    addresses: frozenset[str]
    hard: frozenset[str]
    soft: frozenset[str]
    words: frozenset[str]
    """Hard and soft words."""
    substrings: re.Pattern[str] | None


@dataclasses.dataclass(frozen=True)
class UrlBlocklist(Filter):
    """Drop documents by their URL; those without one pass."""

    reads_text: ClassVar[bool] = True
    enabled: bool = False
    """Whether the step runs at all."""
    domains: str = field(default="", metadata={"raw": True})
    """Lists of domains, which cover their subdomains, and of addresses (with a path), which cover what is below them;
    lines of hosts files and of ad blockers (`||domain^`) are read too. File, folder or glob, also .gz and .zst."""
    hard_words: str = field(default="", metadata={"raw": True})
    """Lists of words of which one is enough; a word stands between characters that are no letters."""
    soft_words: str = field(default="", metadata={"raw": True})
    """Lists of words of which `max_soft_words` may stand in a URL."""
    substrings: str = field(default="", metadata={"raw": True})
    """Lists of parts of URLs of which one is enough, within words too."""
    own_words: bool = True
    """Whether the short English lists of this project count too."""
    max_soft_words: int = 1
    """Distinct soft words that a URL may hold."""

    def rules(self, statistics: Statistics) -> dict[str, Rule]:
        """url_domain, url_address (1 when blocked), url_hard_words, url_soft_words, url_substrings (how many).

        What was found is their detail.
        """
        import numpy as np
        import pyarrow as pa

        blocked, hosts = loaded(self), {}
        column = statistics.batch.column("url").fill_null("").dictionary_encode()
        found = [_found(url, blocked, hosts) for url in column.dictionary.to_pylist()]
        hits = [number for number, item in enumerate(found) if item is not NOTHING]
        rules = {}
        for place, name in enumerate(RULES):
            limit = self.max_soft_words if name == "url_soft_words" else 0
            counts, details = np.zeros(max(1, len(found)), np.int64), np.full(len(found), "", object)
            for number in hits:
                counts[number], details[number] = len(found[number][place]), ", ".join(found[number][place])
            values = counts[column.indices.to_numpy()] if len(column) else np.zeros(0, np.int64)
            rules[name] = at_most(values, limit)._replace(detail=pa.array(details, pa.string()).take(column.indices))
        return rules


def _found(url: str, blocked: Blocked, hosts: dict[str, str]) -> tuple[list[str], ...]:
    """What each rule finds in one URL; `hosts` remembers the blocked domain of each host."""
    host, path = split(url)
    if not host and not path:
        return NOTHING
    domain = hosts.get(host)
    if domain is None:
        domain = hosts[host] = blocked_domain(host, blocked.domains)
    address = _address(host, path, blocked.addresses) if blocked.addresses else ""
    whole = host + path
    words = WORD.findall(whole)
    parts = blocked.substrings.findall(whole) if blocked.substrings else []
    if not (domain or address or parts) and blocked.words.isdisjoint(words):
        return NOTHING
    words = dict.fromkeys(words)
    return (
        [domain] if domain else [],
        [address] if address else [],
        [word for word in words if word in blocked.hard],
        [word for word in words if word in blocked.soft],
        list(dict.fromkeys(parts)),
    )


def split(url: str) -> tuple[str, str]:
    """(host without user, port and `www.`, path with query) of a URL, both in lower case; the fragment goes."""
    rest = url.strip().lower()
    scheme = SCHEME.match(rest)
    rest = (rest[scheme.end() :] if scheme else rest).partition("#")[0]
    path = PATH.search(rest)
    end = path.start() if path else len(rest)
    host = rest[:end].rpartition("@")[2]
    host = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    return host.strip(".").removeprefix("www."), rest[end:]


def blocked_domain(host: str, domains: frozenset[str]) -> str:
    """The listed domain that is `host` or above it; empty when there is none."""
    while host and host not in domains:
        host = host.partition(".")[2]
    return host


def _address(host: str, path: str, addresses: frozenset[str]) -> str:
    """The listed address that is this one or above it."""
    address = host + path.rstrip("/")
    while address:
        if address in addresses:
            return address
        cut = address.rfind("?") if "?" in address else address.rfind("/")
        address = address[: max(cut, 0)]
    return ""


def loaded(config: UrlBlocklist) -> Blocked:
    """The lists of a config; kept for the process as long as the files are the same."""
    from openseek.data.word_lists import stamp

    return _loaded(config, stamp(config.domains, config.hard_words, config.soft_words, config.substrings))


@functools.lru_cache(maxsize=4)
def _loaded(config: UrlBlocklist, stamps: tuple[tuple[str, int, int], ...]) -> Blocked:
    from openseek.data.word_lists import OWN, lines

    def listed(path: str, own: str = "") -> frozenset[str]:
        paths = ([path] if path else []) + ([str(OWN / own)] if own and config.own_words else [])
        return frozenset(entry.lower() for each in paths for entry in lines(each))

    domains, addresses = set(), set()
    for line in listed(config.domains):
        # hosts files: address, then name; ad blockers: ||name^; both with comments behind.
        parts = line.partition("#")[0].split()
        host, path = split(parts[-1].removeprefix("||").partition("^")[0].removeprefix("*."))
        if path.strip("/"):
            addresses.add(host + path.rstrip("/"))
        elif "." in host:
            domains.add(host)
        elif len(parts) == 1:  # the names without a dot in hosts files are this machine's
            raise ValueError(f"url.domains holds {line!r}, which is no domain and no address: correct {config.domains}")
    pieces = sorted(listed(config.substrings, "url_substrings.txt"), key=lambda part: (-len(part), part))
    substrings = re.compile("|".join(map(re.escape, pieces))) if pieces else None
    hard, soft = listed(config.hard_words, "url_hard_words.txt"), listed(config.soft_words, "url_soft_words.txt")
    return Blocked(frozenset(domains), frozenset(addresses), hard, soft, hard | soft, substrings)

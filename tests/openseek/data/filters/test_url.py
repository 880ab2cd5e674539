"""Blocked domains, addresses and words in URLs; innocent addresses pass."""

import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from openseek.data.filters.url import UrlBlocklist, split
from openseek.data.transform import apply, replace_column

DOMAINS = """# a comment
bad.example
www.worse.example  # with www
127.0.0.1 localhost
0.0.0.0 tracker.example
||ads.example^
*.wild.example
blogs.example/spammer
https://pages.example/one?id=3
"""


@pytest.fixture
def dropped(documents, tmp_path: Path):
    """A function: URLs to the (rule, detail) of each that goes."""
    (tmp_path / "domains.txt.gz").write_bytes(gzip.compress(DOMAINS.encode()))
    (tmp_path / "soft.txt").write_text("bargain\nwatches\n")
    config = UrlBlocklist(enabled=True, domains=str(tmp_path / "*.gz"), soft_words=str(tmp_path / "soft.txt"))

    def run(*urls: str) -> list[tuple[int, str, str]]:
        batch = replace_column(documents(["text"] * len(urls)), "url", pa.array(urls, pa.string()))
        rows = apply([config], batch, task="filter")[1].to_pylist()
        return [(row["row"], row["rule"], row["detail"]) for row in rows]

    return run


@pytest.mark.parametrize(
    ("url", "rule", "detail"),
    [
        ("http://bad.example/", "url_domain", "bad.example"),
        ("https://www.bad.example", "url_domain", "bad.example"),
        ("HTTPS://Sub.Deep.BAD.example:8080/x?y#z", "url_domain", "bad.example"),
        ("http://user:pw@worse.example/a", "url_domain", "worse.example"),
        ("//tracker.example/a", "url_domain", "tracker.example"),
        ("ads.example/banner", "url_domain", "ads.example"),
        ("http://a.wild.example.", "url_domain", "wild.example"),
        ("http://blogs.example/spammer/post/1", "url_address", "blogs.example/spammer"),
        ("http://blogs.example/spammer?page=2", "url_address", "blogs.example/spammer"),
        ("http://pages.example/one?id=3", "url_address", "pages.example/one?id=3"),
        ("http://site.example/free-porn/1", "url_hard_words", "porn"),
        ("http://xxx7.example/", "url_hard_words", "xxx"),
        ("http://site.example/hot_teen_girls", "url_soft_words", "hot, teen, girls"),
        ("http://shop.example/bargain-watches", "url_soft_words", "bargain, watches"),
        ("http://mypornhubclips.example/", "url_substrings", "pornhub"),
    ],
)
def test_blocked(dropped, url: str, rule: str, detail: str) -> None:
    assert dropped("http://fine.example/", url) == [(1, rule, detail)]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://notbad.example/",
        "http://bad.example.org/",
        "http://fine.example/?from=bad.example",
        "http://blogs.example/spammers",
        "http://blogs.example/",
        "http://pages.example/one?id=33",
        "http://www.essex.gov.uk/schools/sex-education",
        "http://analysis.example/analytics",
        "http://cockburn.example/assessment/classes",
        "http://casino-history.example/monaco",
        "http://[2001:db8::1]:80/",
        "no address at all",
        "http://例子.中国/网页",
    ],
)
def test_passes(dropped, url: str) -> None:
    assert dropped(url) == []


def test_split() -> None:
    assert split("http://User@WWW.Example.com.:80/A?b#c") == ("example.com", "/a?b")
    assert split("http://[2001:db8::1]:80/a") == ("[2001:db8::1]", "/a")
    assert split("") == ("", "")


def test_no_lists_and_no_rows(documents) -> None:
    config = UrlBlocklist(enabled=True, own_words=False)
    batch = replace_column(documents(["text"]), "url", pa.array(["http://porn.example"]))
    assert apply([config], batch, task="filter")[1].num_rows == 0
    assert apply([config], batch.slice(0, 0), task="filter")[0].num_rows == 0


def test_a_line_that_is_no_domain(documents, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("good.example\nnonsense\n")
    with pytest.raises(ValueError, match="'nonsense', which is no domain"):
        apply([UrlBlocklist(enabled=True, domains=str(tmp_path / "list"))], documents(["text"]), task="filter")

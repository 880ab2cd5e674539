"""The page: sound markup, no text that becomes markup, nothing from elsewhere, pictures with the limit drawn."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from openseek.data.clusters import Cluster
from openseek.data.histogram import count
from openseek.data.report import RuleSummary, Summary
from openseek.data.report_figures import WIDTH, values, waterfall
from openseek.data.report_page import markdown, page

EVIL = "<script>alert('x')</script>"
EXAMPLE = {"distance": 1.0, "shard": 0, "row": 0, "id": EVIL, "value": 3.0, "url": EVIL, "text": EVIL, "detail": EVIL}
PAIR = {**EXAMPLE, "partner": EVIL, "pieces": [[True, EVIL, EVIL], [False, EVIL, ""], [False, "a & b", "c < d"]]}
CLUSTERS = [Cluster(EVIL, 1234, {EVIL: 1000, "web": 234}, EVIL, EVIL), Cluster("b", 1)]
FACTS = {"rows_in": 100, "rows_out": 89, "dropped": {EVIL: 10}, "quarantined": 1}


class Balanced(HTMLParser):
    """Fails where an element closes that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def evil() -> Summary:
    import numpy as np

    rule = RuleSummary(
        5.0, ">", 99, 10, 10, 10, kept=count(np.arange(5.0), False), breaking=count(np.array([50.0]), False)
    )
    rule.languages = {EVIL: [9, 1], "en": [90, 9]}
    rule.passed, rule.failed = [EXAMPLE], [EXAMPLE, PAIR]
    groups = {kind: {EVIL: [89, 10, 1]} for kind in ("source", "language", "licence", "file")}
    return Summary(groups, {EVIL: rule}, {EVIL: {"count": 1, "examples": [[EVIL, 7]]}})


def test_no_text_becomes_markup() -> None:
    made = page(EVIL, evil(), FACTS, {EVIL: f"source {EVIL} loses 100%"}, CLUSTERS)
    parser = Balanced()
    parser.feed(made)
    assert parser.open == []
    assert not parser.seen & {"script", "img", "link", "iframe"}
    assert "http" not in made.replace("http://www.w3.org/2000/svg", "")
    assert "<script" not in markdown(EVIL, evil(), FACTS, {EVIL: EVIL}, CLUSTERS)


def test_the_common_part_is_marked_and_clusters_are_counted() -> None:
    made = page("dedup", evil(), FACTS, {}, CLUSTERS)
    assert made.count("<mark>") == 2
    assert "a &amp; b</td>" in made
    assert "c &lt; d</td>" in made
    assert '<td class="n">1,234</td>' in made
    assert "1,000, web 234" in made
    assert "| 1,234 |" in markdown("dedup", evil(), FACTS, {}, CLUSTERS)
    plain = page("filter", evil(), FACTS, {})
    assert "Largest clusters" not in plain


def test_it_is_the_same_every_time() -> None:
    assert page("filter", evil(), FACTS, {}) == page("filter", evil(), FACTS, {})


def test_a_waterfall_ends_at_what_is_kept() -> None:
    picture = ElementTree.fromstring(waterfall(100, [("a", 30), ("b", 20)], 50))
    bars = [(float(e.get("x", 0)), float(e.get("width", 0))) for e in picture if e.tag.endswith("rect")][1::2]
    (_, whole), (a, width_a), (b, width_b), (kept, width_kept) = bars
    assert width_a == pytest.approx(0.3 * whole)
    assert b + width_b == pytest.approx(a)
    assert kept + width_kept == pytest.approx(b)


@pytest.mark.parametrize("limit", [0, 0.001, 0.1, 0.5, 1, 2, 50, 1e6, None])
def test_bars_that_break_the_rule_stand_beyond_its_limit(limit: float | None) -> None:
    import numpy as np

    from openseek.data.histogram import is_share

    rng = np.random.default_rng(0)
    data = rng.uniform(0, 1, 300) if is_share(limit) else np.round(rng.lognormal(2, 3, 300), 3)
    share = is_share(limit)
    kept = data if limit is None else data[data < limit]
    rule = RuleSummary(
        limit,
        ">",
        kept=count(kept, share),
        breaking=count(data[len(kept) :] if limit is None else data[data >= limit], share),
    )
    picture = ElementTree.fromstring(values("rule", rule))
    rectangles = [e for e in picture if e.tag.endswith("rect")]
    assert rectangles
    assert all(0 <= float(e.get("x", 0)) <= WIDTH for e in rectangles)
    if limit is not None:
        (line,) = [e for e in picture if e.tag.endswith("path")]
        found = re.match(r"M([\d.]+) ", line.get("d", ""))
        assert found is not None
        # A bin that the limit cuts stands with its left side before it.
        beyond = [float(e.get("x", 0)) + float(e.get("width", 0)) + 1 for e in rectangles if e.get("fill") == "#c8453c"]
        assert all(right >= float(found.group(1)) - 1 for right in beyond)

from typing import Any

import pytest

from openseek.data.bill_of_materials import bill_of_materials, markdown
from openseek.data.mixture import Mix
from openseek.data.mixture_plan import planned
from openseek.data.mixture_sources import held_sources


def told(**counts: int) -> dict[str, dict[str, int]]:
    return {name.replace("_", "-"): {"documents": 1, "tokens": tokens} for name, tokens in counts.items()}


SOURCES: dict[str, dict[str, Any]] = {
    "web": {
        **{"prefixes": ["data/web-00000"], "documents": 3, "tokens": 600, "bytes": 2400},
        **{"languages": told(en=450, zh=150), "licences": told(by=300, nc=300), "domains": told(web=600)},
    },
    # 50 of its tokens have no licence told.
    "code": {
        "prefixes": [],
        "documents": 2,
        "tokens": 200,
        "languages": told(en=200),
        "licences": told(permissive=150),
    },
    # As an older tokenize left it.
    "old": {"prefixes": [], "documents": 1, "tokens": 200},
}


def bill(config: Mix) -> dict[str, Any]:
    held = held_sources({"sources": SOURCES}, config.sources)
    return bill_of_materials(planned(held, config), held)


def test_the_bill_tells_what_is_seen_of_each_source_licence_and_language() -> None:
    found = bill(Mix({"web": 0.5, "code": 0.3, "old": 0.2}, train_tokens=1000))
    rows = {row["source"]: row for row in found["sources"]}
    assert rows["web"]["seen_tokens"] == 500
    assert rows["web"]["epochs"] == pytest.approx(500 / 600, abs=1e-6)
    assert (rows["web"]["kind"], rows["code"]["kind"]) == ("web", "unknown")
    assert (rows["web"]["held_bytes"], rows["old"]["held_bytes"]) == (2400, None)
    assert rows["code"]["licences"] == {"permissive": 0.75, "unknown": 0.25}
    # nc: half of what is seen of web; unknown: a quarter of code and all of the old source.
    expected = {"unknown": 275, "by": 250, "nc": 250, "permissive": 225}
    assert {name: total["seen_tokens"] for name, total in found["licences"].items()} == expected
    assert {name: total["seen_tokens"] for name, total in found["languages"].items()} == {
        **{"en": 675, "unknown": 200},
        "zh": 125,
    }
    for key in ("licences", "languages"):
        assert sum(total["share"] for total in found[key].values()) == pytest.approx(1)


def test_kinds_that_documents_do_not_tell_are_those_of_the_catalogue() -> None:
    sources: dict[str, dict[str, Any]] = {
        n: {"prefixes": [n], "documents": 1, "tokens": 10} for n in ("cci3_hq", "the_stack_v2", "mine")
    }
    sources["the_stack_v2"]["domains"] = told(math=10)
    held = held_sources({"sources": sources}, {})
    assert {name: next(iter(source.kinds)) for name, source in held.items()} == {
        **{"cci3_hq": "web", "the_stack_v2": "math"},
        "mine": "unknown",
    }


def test_restricted_licences_are_warned_of_by_share_and_source() -> None:
    warnings = bill(Mix({"web": 0.5, "code": 0.3, "old": 0.2}, train_tokens=1000))["warnings"]
    assert "27.50% of the tokens are of unknown licence: code, old" in warnings
    assert "25.00% of the tokens are not for commercial use (nc): web" in warnings
    assert bill(Mix({"code": 1}, train_tokens=100))["warnings"][1].startswith("old has no weight")


def test_the_weight_is_what_was_asked_and_the_share_what_the_caps_left() -> None:
    config = Mix({"web": 0.5, "code": 0.5}, train_tokens=1000, source_max_epochs={"code": 1}, on_cap="redistribute")
    rows = {row["source"]: row for row in bill(config)["sources"]}
    assert (rows["code"]["weight"], rows["code"]["share"]) == pytest.approx((0.5, 0.2))


def test_the_page_has_a_row_a_source_and_the_totals() -> None:
    page = markdown(bill(Mix({"web": 0.5, "code": 0.3, "old": 0.2}, train_tokens=1000)))
    lines = page.splitlines()
    assert "| web | web | en 75.0%, zh 25.0% | by 50.0%, nc 50.0% | 600 | 50.0000% | 500 | 0.833 | 50.0000% |" in lines
    assert "| old | unknown | unknown | unknown | 200 | 20.0000% | 200 | 1.000 | 20.0000% |" in lines
    assert "| unknown | 275 | 27.5000% |" in lines
    assert page.count("\n- ") == 2

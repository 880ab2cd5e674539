"""Lists of words drop, mask or tag documents; allowed phrases, languages and thresholds hold."""

import json
import pickle
from pathlib import Path

import pytest

from openseek.data.filters.safety import SafetyWords, WordList
from openseek.data.transform import apply
from openseek.fields import changed


@pytest.fixture
def lists(tmp_path: Path):
    """A function: name and words to a WordList with further fields."""

    def make(name: str, words: list[str], **fields) -> WordList:
        (tmp_path / f"{name}.txt").write_text("\n".join(words), encoding="utf-8")
        return WordList(name, str(tmp_path / f"{name}.txt"), **fields)

    return make


def test_drop_names_the_words(documents, lists) -> None:
    safety = SafetyWords(lists=(lists("bad", ["badword", "坏词", "worse"]),))
    batch = documents(["a Badword, badword and 坏词语", "badwords", "fine"])
    kept, dropped = apply(safety.steps(), batch, task="filter")
    assert kept["text"].to_pylist() == ["badwords", "fine"]
    assert dropped.select(["rule", "value", "limit", "detail"]).to_pylist() == [
        {"rule": "safety_bad", "value": 2.0, "limit": 0.0, "detail": "badword ×2, 坏词"}
    ]


def test_mask_hides_the_longest_word_and_counts_it(documents, lists) -> None:
    safety = SafetyWords(lists=(lists("a", ["坏词", "坏词语", "bad"], action="mask"),))
    kept, _ = apply(safety.steps(), documents(["这个坏词语和坏词，bad!", "好"]), task="filter")
    assert kept["text"].to_pylist() == ["这个***和**，***!", "好"]
    assert [json.loads(m) if m else None for m in kept["meta"].to_pylist()] == [{"masked": {"a": 3}}, None]


def test_masks_of_two_lists_that_overlap(documents, lists) -> None:
    one, two = lists("one", ["甲乙丙"], action="mask"), lists("two", ["丙丁"], action="mask")
    stars, token = SafetyWords(lists=(one, two)), SafetyWords(lists=(one, two), mask="<X>")
    text = "始甲乙丙丁终丙丁甲乙丙"
    for safety, expected in ((stars, "始****终*****"), (token, "始<X>终<X><X>")):
        kept, _ = apply(safety.steps(), documents([text]), task="filter")
        assert kept["text"].to_pylist() == [expected]


def test_tag_leaves_the_text(documents, lists) -> None:
    safety = SafetyWords(lists=(lists("political", ["某词"], action="tag"), lists("spam", ["广告"], action="tag")))
    batch = documents(["某词和某词", "广告", ""])
    kept, dropped = apply(safety.steps(), batch, task="filter")
    assert kept["text"].equals(batch["text"]) and dropped.num_rows == 0
    assert kept["meta"].to_pylist() == ['{"safety": {"political": 2}}', '{"safety": {"spam": 1}}', ""]


def test_documents_are_judged_before_masks_hide_words(documents, lists) -> None:
    safety = SafetyWords(lists=(lists("hide", ["坏词"], action="mask"), lists("go", ["坏词语"])))
    kept, dropped = apply(safety.steps(), documents(["坏词语", "坏词"]), task="filter")
    assert (kept["text"].to_pylist(), dropped["rule"].to_pylist()) == (["**"], ["safety_go"])


def test_allowed_phrases_shield(documents, lists, tmp_path: Path) -> None:
    (tmp_path / "allow").write_text("性教育\nScunthorpe", encoding="utf-8")
    words = lists("sex", ["性教", "scunthorpe", "性"], action="mask")
    safety = SafetyWords(lists=(words,), allow=str(tmp_path / "allow"))
    kept, _ = apply(safety.steps(), documents(["开展性教育，性教"]), task="filter")
    assert kept["text"].to_pylist() == ["开展性教育，**"]
    kept, _ = apply(safety.steps(), documents(["Scunthorpe"]), task="filter")
    assert kept["text"].to_pylist() == ["Scunthorpe"]


def test_languages_sources_and_thresholds(documents, lists) -> None:
    english = SafetyWords(lists=(lists("w", ["mist", "gift"], languages=("en",)),))
    assert apply(english.steps(), documents(["mist"], lang="de"), task="filter")[1].num_rows == 0
    assert apply(english.steps(), documents(["mist"], lang="en"), task="filter")[1].num_rows == 1
    web = SafetyWords(sources=("web",), lists=english.lists)
    assert apply(web.steps(), documents(["mist"], source="code"), task="filter")[1].num_rows == 0
    several = SafetyWords(lists=(lists("w", ["mist", "gift"], max_distinct=1),))
    assert apply(several.steps(), documents(["mist mist", "mist gift"]), task="filter")[1]["row"].to_pylist() == [1]
    dense = SafetyWords(lists=(lists("w", ["mist"], min_share=0.5),))
    assert apply(dense.steps(), documents(["mist and", "mist and so on"]), task="filter")[1]["row"].to_pylist() == [0]


def test_what_is_refused(tmp_path: Path, lists) -> None:
    for fields, message in ((("a b", "x"), "name is 'a b'"), (("a", ""), "path of 'a' is empty")):
        with pytest.raises(ValueError, match=message):
            WordList(*fields)
    with pytest.raises(ValueError, match="cannot be negative"):
        lists("a", [], max_distinct=-1)
    with pytest.raises(ValueError, match="a name of its own"):
        SafetyWords(lists=(lists("a", []), lists("a", [])))
    with pytest.raises(ValueError, match="holds no word"):
        SafetyWords(lists=(lists("a", ["党", "x"]),)).found(None, ())  # type: ignore[arg-type]


def test_a_changed_list_is_read_again(documents, lists) -> None:
    safety = SafetyWords(lists=(lists("a", ["first"]),))
    assert apply(safety.steps(), documents(["second word"]), task="filter")[1].num_rows == 0
    lists("a", ["second word"])
    assert apply(pickle.loads(pickle.dumps(safety)).steps(), documents(["second word"]), task="filter")[1].num_rows == 1


def test_no_lists_no_steps() -> None:
    assert SafetyWords().steps() == []


def test_lists_are_given_as_plain_values() -> None:
    made = changed(SafetyWords(), {"lists": [{"name": "a", "path": "a.txt", "action": "tag"}]})
    assert made == SafetyWords(lists=(WordList("a", "a.txt", "tag"),))
    with pytest.raises(ValueError, match="lists.0 lacks path"):
        changed(SafetyWords(), {"lists": [{"name": "a"}]})

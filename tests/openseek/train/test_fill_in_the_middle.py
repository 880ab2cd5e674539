import json

import pytest
from tokenizers import Tokenizer, models

from openseek.train.fill_in_the_middle import FillInTheMiddle


def test_sources_and_their_quality_buckets_are_covered():
    how = FillInTheMiddle(rate=0.5, sources=("code", "math#high"))
    names = ("code", "code#high", "math#high", "math", "math#low", "codes")
    assert [how.covers(name) for name in names] == [True, True, True, False, False, False]
    assert not FillInTheMiddle().covers("code")
    how.check(["code#high", "math#high", "web"])
    with pytest.raises(ValueError, match="sources names math#high, but the mixture has code#low, math#low"):
        how.check(["code#low", "math#low"])


def test_ids_come_from_the_mixture_or_the_tokenizer(tmp_path):
    how = FillInTheMiddle(rate=0.5, prefix_token="<begin>", suffix_token="<hole>", middle_token="<end>")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.add_special_tokens(["<end>", "<begin>", "<hole>"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert how.token_ids({"vocab_size": 20}, tmp_path) == (1, 2, 0)
    given = {"vocab_size": 20, "special_tokens": {"<begin>": 7, "<hole>": 8, "<end>": 9}}
    assert how.token_ids(given, tmp_path) == (7, 8, 9)
    with pytest.raises(ValueError, match="ids 7, 8, 9, which the vocabulary of 9 does not hold"):
        how.token_ids({**given, "vocab_size": 9}, tmp_path)
    assert how.token_ids({"vocab_size": 20, "special_tokens": {"<hole>": 8}}, tmp_path) == (1, 8, 0)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    content["added_tokens"] = content["added_tokens"][:1]
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"tokenizer\.json has no token <begin>, <hole>: name its own"):
        how.token_ids({"vocab_size": 20}, tmp_path)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"rate": 1.5}, "rate=1.5 must be from 0 to 1"),
        ({"suffix_first": -0.1}, "suffix_first=-0.1"),
        ({"rate": 0.5, "sources": ()}, "sources is empty"),
        ({"suffix_token": "<|fim_prefix|>"}, "gives one token two meanings"),
    ],
)
def test_wrong_fields_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        FillInTheMiddle(**values)

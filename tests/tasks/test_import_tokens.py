"""Token files of another program become what `mix` and `pretrain` read, where they lie."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from openseek.artifact import read_manifest
from openseek.data.imported_tokens import ImportTokens, TokenFiles, by_name
from openseek.data.mixture import Mix
from openseek.data.token_shards import TokenShardWriter, dtype_for
from openseek.data.tokenizer import Tokenize, encode, train
from tasks.import_tokens import import_tokens
from tasks.mix import mix
from tasks.tokens import tokenize
from tasks.where import Where

TEXTS = {"web": ["a page", "another page of text"], "code": ["x = 1", "y = x + 1", "print(y)"], "held": ["a page"]}
Write = Callable[[str, Sequence[Sequence[int]]], TokenFiles]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes documents of token ids as NAME_text_document, and beside them the tokenizer of TEXTS."""
    tokenizer = train([text for texts in TEXTS.values() for text in texts] * 3, Tokenize(vocab_size=280))
    tokenizer.save(str(tmp_path / "tokenizer.json"))

    def writer(name: str, documents: Sequence[Sequence[int]]) -> TokenFiles:
        prefix = tmp_path / f"{name}_text_document"
        with TokenShardWriter(prefix, dtype_for(280)) as shard:
            for ids in documents:
                shard.add_document(list(ids))
        return TokenFiles(str(prefix))

    return writer


@pytest.fixture
def files(write: Write, tmp_path: Path) -> dict[str, TokenFiles]:
    """Token files of TEXTS."""
    from openseek.data.tokenizer import load

    tokenizer = load(tmp_path / "tokenizer.json")
    return {name: write(name, [[*ids, 0] for ids in encode(tokenizer, texts)]) for name, texts in TEXTS.items()}


def test_counts_come_from_the_index_and_nothing_is_copied(
    files: dict[str, TokenFiles], root: Where, tmp_path: Path
) -> None:
    config = ImportTokens((files["web"], files["code"]), (files["held"],), str(tmp_path / "tokenizer.json"))
    out = import_tokens(config=config)
    tokens = json.loads((out / "tokens.json").read_text())
    assert {name: entry["documents"] for name, entry in tokens["sources"].items()} == {"web": 2, "code": 3}
    assert tokens["sources"]["web"]["prefixes"] == [str(tmp_path / "web_text_document")]
    assert (tokens["heldout"]["documents"], tokens["eod"], tokens["dtype"]) == (1, 0, "uint16")
    facts = read_manifest(out)["facts"]
    assert (facts["rows_in"], facts["rows_out"], facts["special_tokens_added"]) == (6, 6, [])
    sizes = {name: (tmp_path / f"{name}_text_document.bin").stat().st_size // 2 for name in TEXTS}
    assert facts["tokens"] == sizes["web"] + sizes["code"] and facts["heldout_tokens"] == sizes["held"]
    assert {path.name for path in out.iterdir() if path.name[0] != "."} == {
        "manifest.json",
        "tokenizer.json",
        "tokens.json",
    }
    mixture = json.loads((mix(out, config=Mix({"web": 3, "code": 1}, relative=True)) / "mixture.json").read_text())
    assert {entry["source"]: entry["weight"] for entry in mixture["entries"]} == {"web": 0.75, "code": 0.25}
    assert mixture["bill_of_materials"]["warnings"] == ["100.00% of the tokens are of unknown licence: code, web"]


def test_other_tokens_in_a_file_are_another_artifact(
    files: dict[str, TokenFiles], write: Write, root: Where, tmp_path: Path
) -> None:
    config = ImportTokens((files["web"],), tokenizer=str(tmp_path / "tokenizer.json"))
    first = import_tokens(config=config)
    assert import_tokens(config=config) == first
    write("web", [[5, 6, 0]])
    assert import_tokens(config=config) != first


def test_the_lineage_beside_a_file_tells_languages_and_licences(documents_of: Callable[..., Path], root: Where) -> None:
    rows = [{"text": f"text {i}", "lang": ("en", "zh")[i % 2], "licence": "by"} for i in range(8)]
    tokens = tokenize(documents_of([rows]), config=Tokenize(vocab_size=300, heldout_fraction=0))
    before = json.loads((tokens / "tokens.json").read_text())["sources"]["web"]
    prefix = TokenFiles(str(tokens / before["prefixes"][0]), source="theirs")
    out = import_tokens(config=ImportTokens((prefix,), tokenizer=str(tokens / "tokenizer.json")))
    after = json.loads((out / "tokens.json").read_text())["sources"]["theirs"]
    for key in ("documents", "tokens", "languages"):
        assert after[key] == before[key]
    assert after["licences"]["by"]["documents"] == 8


def test_all_missing_files_are_named_at_once(files: dict[str, TokenFiles], root: Where, tmp_path: Path) -> None:
    wanted = (files["web"], TokenFiles(str(tmp_path / "gone_text_document")), TokenFiles("/none/zh"))
    with pytest.raises(ValueError, match=r"5 files are not there: .*gone_text_document\.bin.*/none/zh\.idx.*/none/tok"):
        import_tokens(config=ImportTokens(wanted, tokenizer="/none/tok"))


@pytest.mark.parametrize(
    "documents, more, message",
    [
        ([[300, 0]], {}, r"holds the token 300, and the tokenizer .* has 2\d\d"),
        ([[5, 6]], {}, r"no document of .*odd_text_document\.bin ends with"),
        ([[5, 0]], {"end_of_document": "<eos>"}, "has no token '<eos>': name its own"),
        ([[5, 0]], {"tokenizer": ""}, "import_tokens.tokenizer is empty"),
    ],
)
def test_files_of_another_tokenizer_are_refused(
    documents: list[list[int]], more: dict[str, str], message: str, write: Write, root: Where, tmp_path: Path
) -> None:
    values = {"tokenizer": str(tmp_path / "tokenizer.json"), **more}
    with pytest.raises(ValueError, match=message):
        import_tokens(config=ImportTokens((write("odd", documents),), **values))  # type: ignore[arg-type]


def test_a_file_counts_once() -> None:
    with pytest.raises(ValueError, match="/d/a twice"):
        ImportTokens((TokenFiles("/d/a"),), heldout=(TokenFiles("/d/a", source="b"),))
    assert [each.name for each in by_name(["/d/x/a_text_document", "/d/b_text_document"])] == ["a", "b"]
    assert [each.name for each in by_name(["/d/x/a_text_document", "/d/y/a_text_document"])] == ["x/a", "y/a"]

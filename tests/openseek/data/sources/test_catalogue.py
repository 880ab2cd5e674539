"""The catalogue: every entry makes a source, mirrors keep the layout, overlaps are refused, all stand-ins are read."""

import dataclasses
from pathlib import Path

import pytest

from openseek.artifact import canonical
from openseek.data.sources import Ingest
from openseek.data.sources.catalogue import CATALOGUE, chosen
from openseek.data.sources.entry import Entry
from openseek.data.sources.probe import probe
from openseek.data.sources.rows import LICENCES

STAND_INS = {
    "nemotron_cc_high_actual": "en_edu/nemotron-cc",
    "nemotron_cc_high_diverse_qa_pairs": "en_edu/nemotron-cc",
    "fineweb_edu": "en_edu/fineweb-edu",
    "fineweb_edu_10bt": "en_edu/fineweb-edu",
    "cci3_hq": "zh/CCI3-HQ",
    "fineweb_edu_chinese_4_5": "zh/{dataset}",
    "fineweb_edu_chinese_3_4": "zh/{dataset}",
    "fineweb_edu_chinese_2_3": "zh/{dataset}",
    "dolma_wiki": "dolma",
    "dolma_books": "dolma",
    "dolma_papers": "dolma",
    "opc_fineweb_code": "code/{dataset}",
    "proof_pile_2_arxiv": "math/{dataset}",
    "proof_pile_2_open_web_math": "math/{dataset}",
    "finemath_3plus": "math/{dataset}",
    "python_edu": "code/{dataset}",
    "the_stack_v2": "code/{dataset}",
}
"""Entry -> the mirror with a small real file of its form, below shared/corpora."""


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_entry_makes_a_source_and_says_what_it_rests_on(name: str) -> None:
    entry = CATALOGUE[name]
    home, mirrored = entry.source(), entry.source("/mirror/{dataset}/")
    assert home.name == name and home.licence == entry.licence in LICENCES
    assert home.path.startswith(("hf://datasets/", "https://"))
    assert mirrored.path == f"/mirror/{entry.dataset}/{entry.path}"
    assert dataclasses.replace(mirrored, path=home.path) == home
    assert home.content.column or home.text_column not in entry.columns
    for text in (entry.title, entry.licence_basis, entry.access_note, entry.evidence, entry.size):
        assert text
    assert (entry.access == "open") or "HF_TOKEN" in entry.access_note
    assert all(outer in CATALOGUE for outer in entry.inside)


def test_the_sets_of_the_mission_are_there() -> None:
    titles = " ".join(entry.title for entry in CATALOGUE.values())
    for wanted in ("Nemotron-CC-high-synthetic-distill", "Proof-Pile-2", "FineMath 3+", "Cosmopedia", "The Stack v2"):
        assert wanted in titles
    assert sum(name.startswith("nemotron_cc_") for name in CATALOGUE) == 11
    assert {entry.domain for entry in CATALOGUE.values()} == {
        *("web", "books", "wiki", "papers", "math", "code", "synthetic")
    }


def test_one_set_inside_another_is_never_read_with_it() -> None:
    with pytest.raises(ValueError, match="finemath_4plus lies inside finemath_3plus"):
        Ingest(source=("finemath_3plus", "finemath_4plus"))
    with pytest.raises(ValueError, match="fineweb_edu_dedup lies inside fineweb_edu"):
        chosen(("fineweb_edu_dedup", "fineweb_edu"))
    assert [entry.name for entry in chosen(("finemath_3plus", "infiwebmath_4plus"))]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": ("finemath3plus",)}, "did you mean finemath_3plus"),
        ({"source": ("zzz",)}, "`openseek sources` lists them"),
        ({"source": ("cci3_hq", "cci3_hq")}, "cci3_hq is named twice"),
        ({"source": ("cci3_hq",), "override": ("text_colum=body",)}, "did you mean 'text_column'"),
        ({"source": ("cci3_hq",), "override": ("text_column",)}, "write it as FIELD=VALUE"),
        ({"source": ("cci3_hq",), "override": ("dolma_wiki.text_column=a",)}, "dolma_wiki is no field"),
        ({"source": ("the_stack_v2",), "override": ("content.root=",)}, "content.root is None"),
    ],
)
def test_wrong_choices_are_refused_before_anything_runs(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ingest(**options)


def test_an_override_is_for_one_source_or_for_all() -> None:
    words = ("text_column=body", "cci3_hq.text_column=content", "the_stack_v2.content.max_bytes=9", "licence=nc")
    names = ("cci3_hq", "dolma_wiki", "the_stack_v2")
    cci, wiki, stack = Ingest(source=names, override=words).resolved().sources
    assert (cci.text_column, wiki.text_column, stack.content.max_bytes) == ("content", "body", 9)
    assert [s.licence for s in (cci, wiki, stack)] == ["nc"] * 3
    assert stack.content.column == "blob_id"
    with pytest.raises(ValueError, match="name them in `source`"):
        Ingest(mirror="/data").resolved()


def test_a_fingerprint_counts_what_is_read_and_not_where_it_lies(tmp_path: Path) -> None:
    def written(folder: str, text: str) -> Ingest:
        path = tmp_path / folder / "wiki" / "a.json.gz"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        return Ingest(source=("dolma_wiki",), mirror=str(tmp_path / folder))

    one, two, other = written("one", "same"), written("two", "same"), written("other", "else")
    assert canonical(one) == canonical(two) != canonical(other)
    assert str(tmp_path) not in str(canonical(one, runtime=True))
    changed = Ingest(source=("dolma_wiki",), mirror=str(tmp_path / "one"), override=("text_column=body",))
    assert canonical(changed) != canonical(one)


@pytest.mark.parametrize("name", STAND_INS)
def test_each_stand_in_has_the_columns_that_the_catalogue_says(name: str, shared: Path) -> None:
    entry: Entry = CATALOGUE[name]
    source = entry.source(str(shared / STAND_INS[name]))
    if source.content.column:
        content = dataclasses.replace(source.content, root=str(shared / "code" / "swh-content"))
        source = dataclasses.replace(source, content=content)
    found = probe(source, entry.columns, 60)
    assert set(entry.columns) <= set(found.columns)
    assert bool(found.content) == bool(source.content.column)

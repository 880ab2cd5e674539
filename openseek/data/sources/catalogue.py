"""CATALOGUE: the public sources of the mission, one entry each: where it lies, its form, its licence, how to get it.

No set was downloaded to write this down: `evidence` says what an entry rests on, and `openseek sources NAME --check`
compares the columns with a real file. Sizes are those of the publishers; 0 where none is known.
"""

import dataclasses
from typing import Any

from openseek.data.sources.content import Content
from openseek.data.sources.entry import Entry

HUB = "hf://datasets/"
SOFTWARE_HERITAGE = "https://softwareheritage.s3.amazonaws.com/content"
_NEMOTRON = Entry(
    "nemotron_cc",
    "Nemotron-CC",
    "Nemotron-CC",
    "https://data.commoncrawl.org/contrib/Nemotron/Nemotron-CC/data-jsonl",
    "",
    "terms",
    "Common Crawl's terms of use; CCI4.0 republishes metadata and scores only",
    "web",
    index="https://data.commoncrawl.org/contrib/Nemotron/Nemotron-CC/data-jsonl.paths.gz",
    format="jsonl",
    columns=("warc_record_id",),
    access_note="no account; above about ten parallel downloads Common Crawl answers 403: keep the workers few",
    overlaps="synthetic parts repeat the warc_record_id of the page they were made from, in the part of the same "
    "quality; FineWeb-Edu and FineMath come from the same crawls",
    evidence="paths: card, code; columns besides warc_record_id and text: recall",
)


def _nemotron(quality: str, kind: str, kind2: str, **more: Any) -> Entry:
    name = f"nemotron_cc_{quality.replace('-', '_')}_{kind2}"
    # Published as .jsonl.zstd; mirrors recompress.
    path = f"quality={quality}/kind={kind}/kind2={kind2}/*.jsonl.*"
    domain = "synthetic" if kind == "synthetic" else "web"
    title = f"Nemotron-CC-{quality}-{kind}-{kind2}"
    return dataclasses.replace(_NEMOTRON, name=name, title=title, path=path, domain=domain, **more)


_FINEWEB_EDU = Entry(
    "fineweb_edu",
    "FineWeb-Edu",
    "fineweb-edu",
    f"{HUB}HuggingFaceFW/fineweb-edu",
    "data/*/*.parquet",
    "by",
    "ODC-By 1.0 for the collection; the pages under Common Crawl's terms of use",
    "web",
    columns=("id", "dump", "url", "language", "language_score", "token_count", "score", "int_score"),
    date_column="date",
    tokens=1300,
    overlaps="fineweb_edu_dedup is SmolLM's copy of it; opc_fineweb_* are drawn from FineWeb; crawls of Nemotron-CC",
    evidence="columns: card of copies; paths: recall",
)
_CHINESE_EDU = Entry(
    "fineweb_edu_chinese",
    "Fineweb-Edu-Chinese-V2.1",
    "Fineweb-Edu-Chinese-V2.1",
    f"{HUB}opencsg/Fineweb-Edu-Chinese-V2.1",
    "",
    "nd",
    "tagged Apache-2.0 with the OpenCSG community licence (commercial use needs their leave), yet it holds MAP-CC, "
    "which is CC-BY-NC-ND: the strictest counts until rows are told apart by their source column",
    "web",
    lang="zh",
    columns=("source",),
    url_column="",
    access_note="nothing to do for research; commercial use needs OpenCSG's permission",
    overlaps="the three score bands share no document; several of its sources are in CCI3-HQ's crawl too",
    evidence="folders and sizes: card; columns: recall, and they differ from band to band",
)
_DOLMA = Entry(
    "dolma",
    "Dolma 1.7",
    "dolma",
    "https://olmo-data.org/dolma-v1_7",
    "",
    "by",
    "ODC-By 1.0",
    "web",
    index=f"{HUB}allenai/dolma/urls/v1_7.txt",
    format="jsonl",
    columns=("id", "source", "added", "created", "metadata"),
    url_column="",
    date_column="created",
    overlaps="ids are not unique within the set (known defect): only ours are",
    evidence="paths: code; columns: card",
)
_PROOF_PILE = Entry(
    "proof_pile_2",
    "Proof-Pile-2",
    "proof-pile-2",
    f"{HUB}EleutherAI/proof-pile-2",
    "",
    "unknown",
    "",
    "math",
    format="jsonl",
    columns=("meta",),
    url_column="",
    evidence="paths: card; columns, tokens: recall",
)
_FINEMATH_COLUMNS = ("url", "metadata", "score", "int_score", "token_count", "char_count")
_FINEMATH = Entry(
    "finemath",
    "FineMath",
    "finemath",
    f"{HUB}HuggingFaceTB/finemath",
    "",
    "by",
    "ODC-By 1.0",
    "math",
    columns=_FINEMATH_COLUMNS,
    overlaps="FineMath, InfiWebMath and Proof-Pile-2's open-web-math share pages: deduplicate across them",
    evidence="configs: card; columns, tokens: recall",
)
_SMOLLM = Entry(
    "smollm",
    "SmolLM-Corpus",
    "smollm-corpus",
    f"{HUB}HuggingFaceTB/smollm-corpus",
    "",
    "by",
    "ODC-By 1.0",
    "web",
    evidence="card",
)
_BY_ID = Content(column="blob_id", root=SOFTWARE_HERITAGE)
_STACK = Entry(
    "the_stack_v2",
    "The Stack v2",
    "the-stack-v2",
    f"{HUB}bigcode/the-stack-v2",
    "data/**/*.parquet",
    "terms",
    "its terms: each file's own licence with attribution (detected_licenses), Software Heritage's principles for "
    "models, removal requests followed: keep a current suppression list",
    "code",
    columns=("blob_id", "path", "repo_name", "detected_licenses", "license_type", "src_encoding", "is_vendor"),
    url_column="",
    date_column="committer_date",
    content=dataclasses.replace(_BY_ID, licence_types=("permissive",)),
    gigabytes=67500,
    access="application",
    access_note="accept its terms on the Hub and set HF_TOKEN; for bulk download of the contents write to "
    "datasets@softwareheritage.org for an agreement with Software Heritage and INRIA",
    overlaps="the_stack_v2_dedup is a part of it, python_edu another",
    evidence="paths, terms: card; columns: recall; contents: code, Software Heritage's documentation",
)

_ENTRIES = (
    _nemotron("high", "actual", "actual", tokens=553),
    *(
        _nemotron("high", "synthetic", kind2)
        for kind2 in ("distill", "diverse_qa_pairs", "extract_knowledge", "knowledge_list", "wrap_medium")
    ),
    *(_nemotron(quality, "actual", "actual") for quality in ("medium-high", "medium", "medium-low", "low")),
    _nemotron("low", "synthetic", "wrap_medium"),
    _FINEWEB_EDU,
    *(
        dataclasses.replace(
            _FINEWEB_EDU,
            name=f"fineweb_edu_{size.lower()}",
            title=f"FineWeb-Edu, sample of {size}",
            path=f"sample/{size}/*.parquet",
            tokens=float(size[:-2]),
            inside=("fineweb_edu",),
        )
        for size in ("10BT", "100BT", "350BT")
    ),
    Entry(
        "cci3_hq",
        "CCI3-HQ",
        "CCI3-HQ",
        f"{HUB}BAAI/CCI3-HQ",
        "data/*.jsonl*",
        "terms",
        "tagged Apache-2.0, with BAAI's usage agreement on top",
        "web",
        format="jsonl",
        lang="zh",
        columns=("id", "score"),
        url_column="",
        gigabytes=500,
        access="agreement",
        access_note="accept BAAI's conditions on its Hub page and set HF_TOKEN",
        overlaps="a selection from CCI3-Data; Fineweb-Edu-Chinese draws on CCI as well",
        evidence="paths: code; columns: recall; licence: card",
    ),
    *(
        dataclasses.replace(_CHINESE_EDU, name=f"fineweb_edu_chinese_{band}", path=f"{band}/*.parquet", **sizes)
        for band, sizes in (
            ("4_5", {"tokens": 46, "gigabytes": 70, "rows": 17_790_513, "columns": ("score", "source")}),
            ("3_4", {"tokens": 530, "gigabytes": 800, "rows": 289_975_835, "columns": ("score", "source")}),
            ("2_3", {"tokens": 930, "gigabytes": 1400, "rows": 649_842_063}),
        )
    ),
    dataclasses.replace(
        _DOLMA,
        name="dolma_wiki",
        title="Dolma 1.7, Wikipedia and Wikibooks",
        path="wiki/*.json.gz",
        domain="wiki",
        licence="by-sa",
        licence_basis="the texts are Wikipedia's (CC-BY-SA); ODC-By 1.0 for the collection",
    ),
    dataclasses.replace(
        _DOLMA,
        name="dolma_books",
        title="Dolma 1.7, Project Gutenberg",
        path="books/*.json.gz",
        domain="books",
        licence_basis="books out of copyright in the United States; ODC-By 1.0 for the collection",
    ),
    dataclasses.replace(
        _DOLMA,
        name="dolma_papers",
        title="Dolma 1.7, peS2o",
        # pes2o/ at its home; papers/ in a mirror that is ordered by kind.
        path="p*/pes2o-*.json.gz",
        domain="papers",
        licence_basis="ODC-By 1.0 for the collection of open-access papers",
    ),
    Entry(
        "opc_fineweb_math",
        "opc-fineweb-math-corpus",
        "opc-fineweb-math-corpus",
        f"{HUB}OpenCoder-LLM/opc-fineweb-math-corpus",
        "data/*.parquet",
        "by",
        "ODC-By 1.0",
        "math",
        columns=("url", "tag", "file_path", "dump", "file_size_in_byte", "line_count"),
        gigabytes=18.16,
        rows=5_241_900,
        overlaps="pages of FineWeb: shares some with FineWeb-Edu, FineMath and open-web-math",
        evidence="card",
    ),
    Entry(
        "opc_fineweb_code",
        "opc-fineweb-code-corpus",
        "opc-fineweb-code-corpus",
        f"{HUB}OpenCoder-LLM/opc-fineweb-code-corpus",
        "data/*.parquet",
        "by",
        "pages of FineWeb, ODC-By 1.0; one revision of the card says MIT: the stricter counts",
        "code",
        columns=("url", "tag", "file_path", "dump", "file_size_in_byte", "line_count"),
        gigabytes=148,
        rows=100_920_235,
        overlaps="pages of FineWeb: shares some with FineWeb-Edu",
        evidence="card",
    ),
    dataclasses.replace(
        _PROOF_PILE,
        name="proof_pile_2_arxiv",
        title="Proof-Pile-2, arXiv",
        path="arxiv/train/*.jsonl.zst",
        domain="papers",
        licence_basis="each paper's own licence, which the rows do not tell",
        tokens=29,
        overlaps="RedPajama's arXiv, which Dolma holds too",
    ),
    dataclasses.replace(
        _PROOF_PILE,
        name="proof_pile_2_open_web_math",
        title="Proof-Pile-2, open-web-math",
        path="open-web-math/train/*.jsonl.zst",
        licence="by",
        licence_basis="ODC-By 1.0",
        tokens=15,
        overlaps="FineMath and InfiWebMath share pages with it",
    ),
    dataclasses.replace(
        _PROOF_PILE,
        name="proof_pile_2_algebraic_stack",
        title="Proof-Pile-2, AlgebraicStack",
        path="algebraic-stack/train/*.jsonl.zst",
        domain="code",
        licence="permissive",
        licence_basis="files of permissively licensed repositories (MIT, BSD, Apache-2.0 ...)",
        tokens=11,
        overlaps="files of the first The Stack: shares some with the_stack_v2",
    ),
    *(
        dataclasses.replace(_FINEMATH, name=name, title=title, path=f"{folder}/*.parquet", tokens=tokens, inside=inside)
        for name, title, folder, tokens, inside in (
            ("finemath_3plus", "FineMath 3+", "finemath-3plus", 34, ()),
            ("finemath_4plus", "FineMath 4+", "finemath-4plus", 9.6, ("finemath_3plus",)),
            ("infiwebmath_3plus", "InfiWebMath 3+", "infiwebmath-3plus", 20.5, ()),
            ("infiwebmath_4plus", "InfiWebMath 4+", "infiwebmath-4plus", 8.5, ("infiwebmath_3plus",)),
        )
    ),
    dataclasses.replace(
        _SMOLLM,
        name="python_edu",
        title="SmolLM-Corpus, Python-Edu",
        path="python-edu/*.parquet",
        licence="terms",
        licence_basis="files of The Stack v2, under its terms and their own licences; the list of ids is ODC-By 1.0",
        domain="code",
        columns=("blob_id", "repo_name", "path", "length_bytes", "score", "int_score"),
        url_column="",
        content=_BY_ID,
        gigabytes=0.99,
        rows=7_678_448,
        access_note="the ids are open; for bulk download of the contents write to datasets@softwareheritage.org",
        overlaps="files of the_stack_v2: choose one of them, or deduplicate",
    ),
    dataclasses.replace(
        _SMOLLM,
        name="cosmopedia_v2",
        title="SmolLM-Corpus, Cosmopedia v2",
        path="cosmopedia-v2/*.parquet",
        domain="synthetic",
        columns=("prompt", "token_length", "audience", "format", "seed_data"),
        url_column="",
        gigabytes=212.5,
        rows=39_134_000,
    ),
    dataclasses.replace(
        _SMOLLM,
        name="fineweb_edu_dedup",
        title="SmolLM-Corpus, FineWeb-Edu deduplicated",
        path="fineweb-edu-dedup/*.parquet",
        columns=("id", "metadata"),
        url_column="",
        gigabytes=957.6,
        rows=190_168_005,
        inside=("fineweb_edu",),
        overlaps="a deduplicated part of fineweb_edu; its samples share documents with it: choose one",
    ),
    _STACK,
    dataclasses.replace(
        _STACK,
        name="the_stack_v2_dedup",
        title="The Stack v2, deduplicated",
        dataset="the-stack-v2-dedup",
        base=f"{HUB}bigcode/the-stack-v2-dedup",
        gigabytes=0,
        inside=("the_stack_v2",),
        overlaps="the_stack_v2 without near-duplicates; python_edu is a part of it",
    ),
)
CATALOGUE: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}


def chosen(names: tuple[str, ...]) -> tuple[Entry, ...]:
    """The entries of these names; ValueError for an unknown one, or for one that lies inside another."""
    if unknown := [name for name in names if name not in CATALOGUE]:
        import difflib

        close = difflib.get_close_matches(unknown[0], CATALOGUE, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "`openseek sources` lists them"
        raise ValueError(f"{unknown[0]!r} is no source of the catalogue: {hint}")
    for name in names:
        if both := [outer for outer in CATALOGUE[name].inside if outer in names]:
            raise ValueError(f"{name} lies inside {both[0]}: read one of them, or documents count twice")
    return tuple(CATALOGUE[name] for name in names)

"""OpenSeek's corpora from sources to mixture: PT-1.3T v0.1 and v1.0, PT-4T, PT-8T. CORPORA is the table.

Counts stand here only where somebody stated them, with the place; None is "unknown", not "none".
"""

from openseek.data.clean.boilerplate import BoilerplateLines
from openseek.data.filters import Filters
from openseek.data.filters.chinese import ChineseQuality
from openseek.data.filters.gopher import GopherQuality, GopherRepetition
from openseek.data.filters.language import Language
from openseek.data.mixture import Mix, Stage
from openseek.data.published_mixtures import PRESETS, PUBLISHED
from openseek.data.sources import Ingest
from openseek.data.sources.catalogue import CATALOGUE
from openseek.data.tokenizer import Tokenize
from openseek.recipes.corpus import Corpus, Part, from_catalogue
from openseek.recipes.debug import DECONTAMINATE
from openseek.recipes.recipe import Recipe

TRILLION = 10**12
VOCABULARY = 151_851
"""Of OpenSeek's Qwen tokenizer; give its file as tokenize.tokenizer to count tokens as OpenSeek did."""
UNPUBLISHED = "not public: bring a source of this name"
ROADMAP = "OpenSeek's road map names it"
CCI4 = "table of docs/README_CCI4.0_M2_V1.md (FlagAI-Open/OpenSeek)"
NO_PAGES = ("code", "math", "papers", "synthetic")
"""Domains of the catalogue that rules for pages of prose would misjudge."""
# Beyond four epochs repeated data loses its worth (Muennighoff et al. 2023, arXiv 2305.16264).
MAX_EPOCHS = 4.0


def recipe_of(sources: tuple[str, ...], mix: Mix) -> Recipe:
    """The steps of a corpus: rules for pages of prose spare code, mathematics, papers in LaTeX and made texts."""
    plain = tuple(name for name in sources if CATALOGUE[name].domain in NO_PAGES)
    return Recipe(
        ingest=Ingest(source=sources),
        filter=Filters(
            boilerplate=BoilerplateLines(except_sources=plain),
            language=Language(except_sources=plain),
            gopher_quality=GopherQuality(except_sources=plain),
            gopher_repetition=GopherRepetition(except_sources=plain),
            chinese=ChineseQuality(except_sources=plain),
        ),
        decontaminate=DECONTAMINATE,
        decontaminate_synthetic=DECONTAMINATE,
        tokenize=Tokenize(vocab_size=VOCABULARY),
        mix=mix,
    )


def published(preset: str, train_tokens: int) -> Mix:
    """A published mixture as far as its sources are there: some were never public. The bill says what is left out."""
    given = PRESETS[preset]
    return Mix(weights=given.weights, sources=given.sources, train_tokens=train_tokens, on_missing="leave_out")


def own(name: str, lang: str, licence: str, stated: str = UNPUBLISHED) -> Part:
    """A source of a published mixture that the catalogue lacks."""
    return Part(name, (name,), (name,), lang, licence, stated=stated)


OPC = "GB: catalogue (card); tokens of opc-fineweb-code and -math are only stated together: 55 billion (card)"

# -- PT-1.3T v0.1 ----------------------------------------------------------------------------------

_V01_SOURCES = (
    *("nemotron_cc_high_actual", "nemotron_cc_high_diverse_qa_pairs"),
    *("fineweb_edu_chinese_4_5", "fineweb_edu_chinese_3_4", "fineweb_edu_chinese_2_3"),
    *("opc_fineweb_code", "python_edu", "proof_pile_2_open_web_math", "infiwebmath_3plus", "finemath_3plus"),
    "dolma_papers",
)
_STARCODER = (
    *("c", "cpp", "go", "java", "javascript", "json", "jupyter_scripts", "jupyter_structured", "markdown"),
    *("python", "shell"),
)
_V01_PARTS = (
    from_catalogue("nemotron_cc_high_actual"),
    from_catalogue("nemotron_cc_high_diverse_qa_pairs"),
    own("k73_edu_qwen", "zh", "unknown"),
    own("wxb_edu_qwen", "zh", "unknown"),
    Part(
        "fineweb_edu_chinese_v2",
        ("fineweb_edu_chinese_v2",),
        ("fineweb_edu_chinese_[234]_[345]",),
        "zh",
        "nd",
        stated="of V2 unknown; its successor V2.1, which is read here, has 46 + 530 + 930 billion (its card)",
    ),
    from_catalogue("opc_fineweb_code", stated=OPC),
    from_catalogue("python_edu"),
    *(
        own(f"opc_annealing_{part}", "en", "unknown", "unknown; its files keep their licences (opc-annealing-corpus)")
        for part in ("algorithmic", "code_snippet", "qa")
    ),
    *(
        own(
            f"starcoder_{part}",
            "en",
            "permissive",
            "unknown; files of The Stack whose loss under Qwen-0.5B is 3 or less",
        )
        for part in _STARCODER
    ),
    from_catalogue("proof_pile_2_open_web_math"),
    from_catalogue("infiwebmath_3plus"),
    from_catalogue("finemath_3plus"),
    own("dolma_arxiv", "en", "by", "unknown; Dolma 1.6's arXiv, which the catalogue's 1.7 does not name"),
    from_catalogue("dolma_papers", "dolma_pes2o"),
)

# -- PT-1.3T v1.0 ----------------------------------------------------------------------------------

_NEMOTRON_SYNTHETIC = (
    *("nemotron_cc_high_distill", "nemotron_cc_high_diverse_qa_pairs", "nemotron_cc_high_extract_knowledge"),
    *("nemotron_cc_high_knowledge_list", "nemotron_cc_high_wrap_medium", "nemotron_cc_low_wrap_medium"),
)
_V10_SOURCES = (
    *("nemotron_cc_high_actual", "nemotron_cc_medium_actual", *_NEMOTRON_SYNTHETIC),
    *("cci3_hq", "opc_fineweb_code", "finemath_3plus", "dolma_books", "dolma_wiki", "proof_pile_2_arxiv"),
    "dolma_papers",
)
_COT = tuple(f"cot_synthesis_{part}" for part in ("CC", "arxiv", "math", "code", "wiki", "OpenSource"))
_WEB_EN = ("nemotron_cc_high_actual", "nemotron_cc_medium_actual", *_NEMOTRON_SYNTHETIC)
# Sources of the catalogue that stand in for a part of CCI4.0 until its own files are read under the published name.
_STAND_INS = {
    "zh_cc": ("cci3_hq",),
    "code": ("opc_fineweb_code",),
    "math": ("finemath_3plus",),
    "books": ("dolma_books",),
    "wiki": ("dolma_wiki",),
    "arxiv": ("proof_pile_2_arxiv",),
    "pes2o": ("dolma_papers",),
}


def _cci4(name: str, entries: tuple[str, ...], lang: str, licence: str, gigabytes: float, note: str = "") -> Part:
    """A row of CCI4.0-M2's table: GB of its files; its tokens are not stated."""
    sources = tuple(source for entry in entries for source in (entry, *_STAND_INS.get(entry, ())))
    return Part(name, entries, sources, lang, licence, None, gigabytes, CCI4 + note)


_V10_PARTS = (
    _cci4(
        "Web-EN", _WEB_EN, "en", "terms", 22_498.641, "; Nemotron-CC's card: high/actual alone has 553 billion tokens"
    ),
    _cci4("Web-ZH", ("zh_cc",), "zh", "permissive, by, nc, nd, public", 5_161.0895),
    _cci4("Code", ("code",), "en", "permissive, terms", 896.57865),
    _cci4("Math", ("math",), "en", "by, permissive", 269.06715),
    _cci4("Books", ("books",), "en", "by", 858.55473),
    _cci4("Wiki", ("wiki",), "en", "by, by-sa", 96.667659),
    _cci4("Arxiv", ("arxiv",), "en", "by", 87.12),
    _cci4("ForumQA", ("stack",), "en", "by", 78.00555),
    _cci4("pes2o", ("pes2o",), "en", "by", 117.14234),
    _cci4("CoT_synthesis", _COT, "en", "unknown", 4_121.978, "; read BAAI/CCI4.0-M2-CoT-v1 under these names"),
)


def _v10_mix() -> Mix:
    mix = published("small_v1_by_source", PUBLISHED["small_v1"].train_tokens)
    sources = {name: (*patterns, *_STAND_INS.get(name, ())) for name, patterns in mix.sources.items()}
    return Mix(mix.weights, sources=sources, train_tokens=mix.train_tokens, on_missing="leave_out")


# -- PT-4T and PT-8T -------------------------------------------------------------------------------
# Published are the names and docs/Data.md's list of sources. Weights and stages are this project's proposal: the kinds
# of v0.1, some books and wiki as in CCI4.0, and an end with more code, mathematics and papers. A sweep should decide.

_KIND = {
    "english_web": 28.0,
    "english_synthetic": 26.0,
    "chinese_web": 25.0,
    "code": 16.0,
    "math": 1.0,
    "papers": 2.0,
    "books_wiki": 2.0,
}
_ANNEAL = {
    "english_web": 15.0,
    "english_synthetic": 25.0,
    "chinese_web": 20.0,
    "code": 20.0,
    "math": 12.0,
    "papers": 4.0,
    "books_wiki": 4.0,
}
_SHARED_PARTS = (
    from_catalogue("fineweb_edu_chinese_4_5", "chinese_web"),
    from_catalogue("fineweb_edu_chinese_3_4", "chinese_web"),
    from_catalogue("cci3_hq", "chinese_web"),
    from_catalogue("the_stack_v2_dedup", "code"),
    from_catalogue("opc_fineweb_code", "code", stated=OPC),
    from_catalogue("proof_pile_2_algebraic_stack", "code"),
    from_catalogue("finemath_3plus", "math"),
    from_catalogue("infiwebmath_3plus", "math"),
    from_catalogue("proof_pile_2_open_web_math", "math"),
    from_catalogue("opc_fineweb_math", "math", stated=OPC),
    from_catalogue("proof_pile_2_arxiv", "papers"),
    from_catalogue("dolma_papers", "papers"),
    from_catalogue("dolma_books", "books_wiki"),
    from_catalogue("dolma_wiki", "books_wiki"),
)
_SYNTHETIC = Part(
    "Nemotron-CC, synthetic",
    ("english_synthetic",),
    _NEMOTRON_SYNTHETIC,
    "en",
    "terms",
    tokens=1.9 * TRILLION,
    stated="Nemotron-CC's card, all six kinds together",
)
_ORIGINAL = Part(
    "Nemotron-CC, original",
    ("english_web",),
    ("nemotron_cc_*_actual",),
    "en",
    "terms",
    tokens=4.4 * TRILLION,
    stated="Nemotron-CC's card, all five qualities together",
)
_4T_PARTS = (
    from_catalogue("nemotron_cc_high_actual", "english_web"),
    from_catalogue("nemotron_cc_medium_high_actual", "english_web"),
    _SYNTHETIC,
    *_SHARED_PARTS,
)
_8T_PARTS = (_ORIGINAL, _SYNTHETIC, from_catalogue("fineweb_edu_chinese_2_3", "chinese_web"), *_SHARED_PARTS)
_ACTUAL = tuple(f"nemotron_cc_{quality}_actual" for quality in ("high", "medium_high", "medium", "medium_low", "low"))
_SHARED_SOURCES = tuple(part.name for part in _SHARED_PARTS)


def _proposal(parts: tuple[Part, ...], train_tokens: int) -> Mix:
    kinds = {kind: tuple(s for part in parts if kind in part.entries for s in part.token_sources) for kind in _KIND}
    return Mix(
        weights=_KIND,
        sources=kinds,
        train_tokens=train_tokens,
        max_epochs=MAX_EPOCHS,
        on_cap="redistribute",
        on_missing="leave_out",
        stages=(Stage("main", 0.9), Stage("anneal", 0.1, _ANNEAL)),
    )


CORPORA: dict[str, Corpus] = {
    "pt_1.3t_v0.1": Corpus(
        "OpenSeek-PT-1.3T v0.1",
        1.3 * TRILLION,
        f"{ROADMAP} (once as OpenSeek-data-1.3TB); the mixture is PT-1T's, whose runs were set to see 1.0 trillion "
        "tokens; parts without a public source are left out of it",
        _V01_PARTS,
        recipe_of(
            _V01_SOURCES,
            published("pt_1t", PUBLISHED["pt_1t"].train_tokens),
        ),
    ),
    "pt_1.3t_v1.0": Corpus(
        "OpenSeek-PT-1.3T v1.0",
        1.3 * TRILLION,
        f"{ROADMAP} for OpenSeek-Small, so the mixture is Small-v1's; its file is set to 1.34 trillion tokens, its "
        "README speaks of 0.72TB; the parts are those of CCI4.0-M2, of which GB are stated, not tokens, and public "
        "sources stand in for those that are not read under their own names",
        _V10_PARTS,
        recipe_of(_V10_SOURCES, _v10_mix()),
    ),
    "pt_4t": Corpus(
        "OpenSeek-PT-4T",
        4.0 * TRILLION,
        f"{ROADMAP}, no more; sources after docs/Data.md, weights and stages are this project's proposal",
        _4T_PARTS,
        recipe_of((*_ACTUAL[:2], *_NEMOTRON_SYNTHETIC, *_SHARED_SOURCES), _proposal(_4T_PARTS, 4 * TRILLION)),
    ),
    "pt_8t": Corpus(
        "OpenSeek-PT-8T",
        8.0 * TRILLION,
        f"{ROADMAP}, no more; sources after docs/Data.md without FineWeb-Edu, whose crawls Nemotron-CC holds; weights "
        "and stages are this project's proposal",
        _8T_PARTS,
        recipe_of(
            (*_ACTUAL, *_NEMOTRON_SYNTHETIC, "fineweb_edu_chinese_2_3", *_SHARED_SOURCES),
            _proposal(_8T_PARTS, 8 * TRILLION),
        ),
    ),
}

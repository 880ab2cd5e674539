"""Our model behind lm-evaluation-harness's interface: three requests, answered by forward passes and our engine.

Requests that differ in their last token alone (lettered choices) share one forward pass. Batches hold rows of similar
length, padded on the right, where causal attention does not see the padding.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from tokenizers import Tokenizer

from openseek.data import chat
from openseek.inference.engine import evaluating, generate
from openseek.inference.sampling import Sampling, sample_seed
from openseek.model.transformer import Transformer

Tokens = list[int]
Score = tuple[float, bool]


class TransformerLM(TemplateLM):
    """Answers loglikelihood, loglikelihood_rolling and generate_until with a Transformer.

    end_id: the end-of-document token. stop_ids: tokens that end an answer, end_id among them.
    """

    def __init__(
        self,
        model: Transformer,
        tokenizer: Tokenizer,
        *,
        end_id: int,
        stop_ids: frozenset[int],
        max_length: int | None = None,
        batch_tokens: int = 4096,
    ) -> None:
        super().__init__()
        self.model, self.tokens = model, tokenizer
        # What spells a special token in a benchmark's text stays text.
        tokenizer.encode_special_tokens = True
        self.end_id, self.stop_ids = end_id, stop_ids
        # Conversations are tokenised turn by turn, as in training; the harness hands prompts on as text.
        self._chat_ids: dict[str, Tokens] = {}
        self.max_length = min(max_length or model.config.max_position_embeddings, model.config.max_position_embeddings)
        self.batch_tokens = batch_tokens
        self.truncated = 0
        """Requests whose beginning was cut to fit the context, since the start."""

    @property
    def eot_token_id(self) -> int:
        """Begins a text that has no context."""
        return self.end_id

    @property
    def tokenizer_name(self) -> str:
        """Names the chat template for the harness's cache, which is off."""
        return "openseek"

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> Tokens:
        """Token ids; nothing is added, and a text that spells a special token stays text."""
        if string in self._chat_ids:
            return self._chat_ids[string]
        return self.tokens.encode(string, add_special_tokens=False).ids

    def _encode_pair(self, context: str, continuation: str) -> tuple[Tokens, Tokens]:
        """Tokens of a context and its continuation, split where the harness does; a chat's answer stands alone."""
        if context in self._chat_ids:
            return self._chat_ids[context], self.tok_encode(continuation)
        return super()._encode_pair(context, continuation)

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The prompt of a conversation, as text whose tokens are remembered."""
        text = chat.render(chat_history, add_generation_prompt)
        self._chat_ids[text] = chat.prompt_ids(self.tokens, chat_history)
        return text

    def _loglikelihood_tokens(
        self, requests: list[tuple[tuple[str, str], Tokens, Tokens]], disable_tqdm: bool = False, **kwargs: Any
    ) -> list[Score]:
        """(log-probability, whether greedy) of each continuation."""
        groups: dict[tuple[tuple[int, ...], int], list[int]] = defaultdict(list)
        for index, (texts, context, continuation) in enumerate(requests):
            if not continuation:
                raise ValueError(f"an answer has no tokens of its own: {texts[1]!r} after {texts[0][-40:]!r}: drop it")
            if len(continuation) > self.max_length:
                raise ValueError(
                    f"an answer of {len(continuation)} tokens exceeds max_length={self.max_length}: {texts[1][:40]!r}"
                )
            whole = context + continuation
            self.truncated += len(whole) > self.max_length + 1
            # The last token is only predicted, never read.
            groups[tuple(whole[-(self.max_length + 1) : -1]), len(continuation)].append(index)
        scores: list[Score] = [(0.0, False)] * len(requests)
        for batch in self._batches(list(groups)):
            logprobs_BTV = self._logprobs([ids for ids, _ in batch])
            for logprobs_TV, (ids, count) in zip(logprobs_BTV, batch, strict=True):
                rows_CV = logprobs_TV[len(ids) - count : len(ids)]
                best_C = rows_CV.argmax(-1)
                for index in groups[ids, count]:
                    target_C = torch.tensor(requests[index][2], device=rows_CV.device)
                    total = float(rows_CV.gather(1, target_C[:, None]).double().sum())
                    if not math.isfinite(total):
                        raise ValueError(f"the model gives {total} as a log-probability: its weights are damaged")
                    scores[index] = (total, bool(torch.equal(best_C, target_C)))
        return scores

    def _batches(self, groups: list[tuple[tuple[int, ...], int]]) -> Iterator[list[tuple[tuple[int, ...], int]]]:
        """Groups of similar length, longest first, batch_tokens to a batch."""
        batch: list[tuple[tuple[int, ...], int]] = []
        for group in sorted(groups, key=lambda g: (-len(g[0]), g)):
            if batch and len(batch[0][0]) * (len(batch) + 1) > self.batch_tokens:
                yield batch
                batch = []
            batch.append(group)
        if batch:
            yield batch

    def _logprobs(self, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        """Log-probabilities [B, T, V] of the next token after each position."""
        width = max(map(len, rows))
        ids_BT = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=self._place)
        with evaluating(self.model):
            return torch.log_softmax(self.model(ids_BT).logits_BTV, dim=-1)

    @property
    def _place(self) -> torch.device:
        return self.model.embed_tokens.weight.device

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Log-likelihood of whole texts, each token predicted once, in windows of max_length."""
        windows: list[tuple[tuple[str, str], Tokens, Tokens]] = []
        owners: list[int] = []
        for index, request in enumerate(requests):
            (text,) = request.args
            for window in get_rolling_token_windows(
                token_list=self.tok_encode(text), prefix_token=self.end_id, max_seq_len=self.max_length, context_len=1
            ):
                context, continuation = make_disjoint_window(window)
                windows.append((("", text[:80]), list(context), list(continuation)))
                owners.append(index)
        totals = [0.0] * len(requests)
        for owner, (logprob, _) in zip(owners, self._loglikelihood_tokens(windows), strict=True):
            totals[owner] += logprob
        return totals

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Answers, cut before the first stop text. Requests with equal settings are generated together."""
        groups: dict[str, list[int]] = defaultdict(list)
        for index, request in enumerate(requests):
            groups[repr(sorted(_arguments(request)[1].items()))].append(index)
        answers = [""] * len(requests)
        for indices in groups.values():
            settings = _arguments(requests[indices[0]])[1]
            texts = self._generate([_arguments(requests[i])[0] for i in indices], settings)
            for index, text in zip(indices, texts, strict=True):
                answers[index] = text
        return answers

    def _generate(self, contexts: list[str], settings: dict[str, Any]) -> list[str]:
        until = [settings["until"]] if isinstance(settings["until"], str) else list(settings["until"])
        sampling = Sampling(
            temperature=settings.get("temperature", 0.0) if settings.get("do_sample") else 0.0,
            max_new_tokens=settings.get("max_gen_toks", 64),
        )
        room = self.max_length - sampling.max_new_tokens
        if room < 1:
            raise ValueError(
                f"answers of {sampling.max_new_tokens} tokens leave no question room in max_length={self.max_length}: "
                "set the benchmark's max_new_tokens"
            )
        prompts = [self.tok_encode(context) or [self.end_id] for context in contexts]
        self.truncated += sum(len(prompt) > room for prompt in prompts)
        prompts = [prompt[-room:] for prompt in prompts]
        samples = generate(
            self.model,
            prompts,
            sampling,
            seeds=[sample_seed("generate_until", context) for context in contexts],
            stop_ids=self.stop_ids,
            ended=lambda ids: self._holds(ids, until),
            max_batch_size=max(1, self.batch_tokens // (max(map(len, prompts)) + sampling.max_new_tokens)),
        )
        texts = [self.tokens.decode(list(sample.output_ids), skip_special_tokens=True) for sample in samples]
        return [_cut(text, until) for text in texts]

    def _holds(self, ids: Tokens, until: list[str]) -> bool:
        """Whether the end of the output holds a stop text. A token is at least a byte, so a short tail is enough."""
        tail = max((len(stop.encode()) for stop in until), default=0) + 4
        text = self.tokens.decode(ids[-tail:], skip_special_tokens=True)
        return any(stop in text for stop in until)


def _cut(text: str, until: list[str]) -> str:
    for stop in until:
        if stop:
            text = text.split(stop, 1)[0]
    return text


def _arguments(request: Instance) -> tuple[Any, ...]:
    """What the harness asks with; its own annotation says an empty tuple."""
    return request.args

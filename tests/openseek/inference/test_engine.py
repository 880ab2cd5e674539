import pytest
import torch

from openseek.inference.engine import generate, token_logprobs
from openseek.inference.sampling import Sampling
from openseek.model.config import ModelConfig
from openseek.model.transformer import Transformer

GREEDY = Sampling(temperature=0, max_new_tokens=12)
PROMPTS = [[5, 6, 7], [9], [3, 1, 4, 1, 5, 9, 2, 6], [5, 6, 7], [11, 12]]


@pytest.fixture(scope="module")
def model() -> Transformer:
    torch.manual_seed(0)
    config = ModelConfig(
        vocab_size=61, hidden_size=32, num_hidden_layers=3, max_position_embeddings=64, initializer_range=0.3
    )
    return Transformer(config)


def without_cache(model: Transformer, prompt: list[int], count: int) -> list[int]:
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(count):
            ids.append(int(model.eval()(torch.tensor([ids])).logits_BTV[0, -1].argmax()))
    return ids[len(prompt) :]


def test_greedy_with_the_cache_is_greedy_without_it_at_every_prompt_length(model: Transformer) -> None:
    samples = generate(model, PROMPTS, GREEDY, seeds=[0] * 5, stop_ids=frozenset())
    expected = [without_cache(model, p, 12) for p in PROMPTS]
    assert [list(s.output_ids) for s in samples] == expected
    assert {s.finish_reason for s in samples} == {"length"}
    # Control: the continuations differ, so an engine that mixed rows up would be seen.
    assert len({tuple(e) for e in expected}) == 4


@pytest.mark.parametrize(
    "sampling", [Sampling(max_new_tokens=9), Sampling(temperature=0.6, top_p=0.8, max_new_tokens=9)]
)
def test_logprobs_equal_a_fresh_forward_pass(model: Transformer, sampling: Sampling) -> None:
    samples = generate(model, PROMPTS, sampling, seeds=range(5), stop_ids=frozenset({7}))
    for sample in samples:
        ids = torch.tensor([sample.prompt_ids + sample.output_ids])
        with torch.no_grad():
            output = model.eval()(ids)
            shifted = model(ids, positions_BT=torch.arange(ids.shape[1])[None] * 2)
        begin = len(sample.prompt_ids) - 1
        fresh = token_logprobs(output.logits_BTV, ids, sampling)[0, begin:]
        assert torch.allclose(fresh, torch.tensor(sample.logprobs), atol=2e-5)
        if len(sample.prompt_ids) > 1:  # control: positions that are off by any step give other numbers
            wrong = token_logprobs(shifted.logits_BTV, ids, sampling)[0, begin:]
            assert not torch.allclose(wrong, torch.tensor(sample.logprobs), atol=2e-5)


def test_a_sample_depends_on_its_seed_and_not_on_its_batch(model: Transformer) -> None:
    sampling = Sampling(max_new_tokens=16)
    together = generate(model, PROMPTS, sampling, seeds=range(5), stop_ids=frozenset({3}))
    for index, prompt in enumerate(PROMPTS):
        (alone,) = generate(model, [prompt], sampling, seeds=[index], stop_ids=frozenset({3}))
        assert alone.output_ids == together[index].output_ids
    assert together[0].output_ids != together[3].output_ids, "the same prompt with another seed"
    in_pairs = generate(model, PROMPTS, sampling, seeds=range(5), stop_ids=frozenset({3}), max_batch_size=2)
    assert [s.output_ids for s in in_pairs] == [s.output_ids for s in together]


def test_stops_end_a_sample_where_they_occur(model: Transformer) -> None:
    (free,) = generate(model, [[5, 6, 7]], GREEDY, seeds=[0], stop_ids=frozenset())
    stop = free.output_ids[3]
    first = free.output_ids.index(stop)
    (stopped,) = generate(model, [[5, 6, 7]], GREEDY, seeds=[0], stop_ids=frozenset({stop}))
    assert stopped.output_ids == free.output_ids[: first + 1]
    assert stopped.finish_reason == "stop"
    (ended,) = generate(model, [[5, 6, 7]], GREEDY, seeds=[0], stop_ids=frozenset(), ended=lambda ids: len(ids) == 2)
    assert (len(ended.output_ids), ended.finish_reason) == (2, "stop")
    # A stop as the very first token leaves one token, never none: its log-probability is trained on.
    (at_once,) = generate(model, [[5, 6, 7]], GREEDY, seeds=[0], stop_ids=frozenset({free.output_ids[0]}))
    assert len(at_once.output_ids) == 1


def test_the_context_bounds_a_sample(model: Transformer) -> None:
    (sample,) = generate(model, [[1] * 60], Sampling(max_new_tokens=50), seeds=[0], stop_ids=frozenset())
    assert len(sample.output_ids) == 4
    assert sample.finish_reason == "length"


def test_generation_leaves_the_model_as_it_was(model: Transformer) -> None:
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    loads = [value.clone() for name, value in model.named_buffers() if name.endswith("load_E")]
    generate(model, PROMPTS, GREEDY, seeds=[0] * 5, stop_ids=frozenset())
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    after = [value for name, value in model.named_buffers() if name.endswith("load_E")]
    assert all(torch.equal(a, b) for a, b in zip(loads, after, strict=True))


@pytest.mark.parametrize(
    "prompt, words", [([], "empty"), ([1] * 64, "context is 64"), ([61], "vocabulary"), ([-1], "vocabulary")]
)
def test_bad_prompts_are_refused(model: Transformer, prompt: list[int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        generate(model, [[1], prompt], GREEDY, seeds=[0, 0], stop_ids=frozenset())

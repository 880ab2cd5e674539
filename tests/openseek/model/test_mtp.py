"""Multi-token prediction of depth 2 against the formulas written out position by position."""

import dataclasses
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from openseek.model.moe import routers
from openseek.model.transformer import Transformer
from openseek.train.pretrain import Pretrain, objective, token_losses
from openseek.train.sft import supervised_loss

BUGS = ("hidden state first", "token t instead of t+k", "states before the norm", "both depths from the main states")


@pytest.fixture
def deep(small):
    """The small config with two depths."""
    return dataclasses.replace(small, num_nextn_predict_layers=2)


def relative(actual: torch.Tensor, expected: torch.Tensor) -> float:
    return ((actual - expected).norm() / expected.norm()).item()


def by_the_formulas(model: Transformer, ids: torch.Tensor, bug: str = "") -> list[torch.Tensor]:
    """Logits of each depth for one row of tokens, from the chain of the docstring, one position after the other.

    The block is the model's own, which its own tests cover: it is given exactly the T-k joined vectors.
    """
    captured = {}
    hook = model.norm.register_forward_hook(lambda module, arguments, output: captured.update(main=output[0]))
    model(ids)
    hook.remove()
    states, logits = list(captured["main"]), []
    main, length = list(states), ids.shape[1]
    modules: Any = model.mtp
    for depth, module in enumerate(modules, start=1):
        if bug == "both depths from the main states":
            states = main
        joined = []
        for t in range(length - depth):
            token = ids[0, t if bug == "token t instead of t+k" else t + depth]
            parts = [module.enorm(model.embed_tokens.weight[token]), module.hnorm(states[t])]
            joined.append(module.eh_proj.weight @ torch.cat(parts[::-1] if bug == "hidden state first" else parts))
        angles = torch.arange(length - depth)[:, None] * 10000.0 ** -(torch.arange(0, 8, 2) / 8)
        rotary = angles.cos()[None], angles.sin()[None]
        raw = module.block(torch.stack(joined)[None], rotary, None, None, None)[0][0]
        normed = module.norm(raw)
        logits.append(normed @ model.embed_tokens.weight.T)
        states = list(raw if bug == "states before the norm" else normed)
    return logits


def test_depth_two_follows_the_formulas(deep, build):
    model = build(deep)
    ids = torch.randint(0, 97, (1, 11))
    with torch.no_grad():
        actual = model(ids, mtp=True).mtp_logits_BTV
        expected = by_the_formulas(model, ids)
    assert [each.shape for each in actual] == [(1, 10, 97), (1, 9, 97)]
    for ours, theirs in zip(actual, expected, strict=True):
        assert relative(ours[0], theirs) < 1e-5


@pytest.mark.parametrize("bug", BUGS)
def test_a_deliberate_bug_shows_at_depth_two(bug, deep, build):
    model = build(deep)
    ids = torch.randint(0, 97, (1, 11))
    with torch.no_grad():
        right, wrong = model(ids, mtp=True).mtp_logits_BTV[1][0], by_the_formulas(model, ids, bug)[1]
    assert relative(wrong, right) > 1e-2


def test_each_depth_sees_so_many_tokens_ahead_and_no_further(deep, build):
    model = build(deep)
    ids = torch.randint(0, 97, (1, 10))
    changed = ids.clone()
    changed[0, 6] = (changed[0, 6] + 1) % 97
    with torch.no_grad():
        before, after = (model(x, mtp=True).mtp_logits_BTV for x in (ids, changed))
    for depth in (1, 2):
        change = (before[depth - 1] - after[depth - 1]).norm(dim=-1)[0] / before[depth - 1].norm(dim=-1)[0]
        assert change[: 6 - depth].max() < 1e-5
        assert change[6 - depth] > 1e-2  # position t reads the embedding of token t+k


def packed(lengths: tuple[int, ...]) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
    """Documents of these lengths, side by side in one window, and the number of each token's document."""
    torch.manual_seed(5)
    documents = [torch.randint(0, 97, (1, length)) for length in lengths]
    numbers = torch.cat([torch.full((1, length), i) for i, length in enumerate(lengths)], 1)
    return documents, torch.cat(documents, 1), numbers


def test_a_packed_window_predicts_and_counts_what_its_documents_do_alone(deep, build):
    model = build(deep).train()
    documents, window, numbers = packed((6, 1, 9, 2))

    def load() -> torch.Tensor:
        loads = torch.stack([router.load_E.clone() for router in routers(model)])
        for router in routers(model):
            router.load_E.zero_()
        return loads

    with torch.no_grad():
        together = model(window, documents_BT=numbers)
        counted = load()
        start, alone_counted = 0, torch.zeros_like(counted)
        for document in documents:
            alone = model(document)
            alone_counted += load()
            assert len(alone.mtp_logits_BTV) == min(2, document.shape[1] - 1)
            whole = (together.logits_BTV, *together.mtp_logits_BTV)
            for logits, theirs in zip(whole, (alone.logits_BTV, *alone.mtp_logits_BTV), strict=False):
                assert relative(logits[:, start : start + theirs.shape[1]], theirs) < 1e-5
            start += document.shape[1]
        assert torch.equal(counted, alone_counted)
        # the control: without document numbers both differ
        assert relative(model(window).mtp_logits_BTV[1], together.mtp_logits_BTV[1]) > 1e-2
        assert not torch.equal(load(), alone_counted)


def test_losses_count_targets_of_the_same_document_at_every_depth(deep, build):
    """The window has one token more than the model reads: the last target."""
    model = build(deep).train()
    documents, window, numbers = packed((6, 1, 9, 3))
    padded = torch.cat([numbers, torch.full((1, 2), -1)], 1)
    ids = torch.cat([window, torch.zeros(1, 2, dtype=torch.long)], 1)
    with torch.no_grad():
        losses, _ = token_losses(model, {"ids": ids, "documents": padded}, separate_documents=True)
        main = [F.cross_entropy(model(d).logits_BTV[0, :-1], d[0, 1:], reduction="sum") for d in documents]
        mtp = []
        for document in documents:
            for depth, logits in enumerate(model(document).mtp_logits_BTV, start=1):
                if document.shape[1] > depth + 1:
                    mtp.append(F.cross_entropy(logits[0, :-1], document[0, depth + 1 :], reduction="sum"))
    assert losses.main_tokens == 5 + 0 + 8 + 2
    assert losses.mtp_tokens == (4 + 7 + 1) + (3 + 6 + 0)
    assert torch.allclose(losses.main, torch.stack(main).sum(), rtol=1e-5)
    assert torch.allclose(losses.mtp, torch.stack(mtp).sum(), rtol=1e-5)


def test_the_loss_weighs_the_mean_over_depths(deep, build):
    model = build(deep).train()
    ids = torch.randint(0, 97, (2, 12))
    documents = torch.zeros_like(ids)
    output = model(ids[:, :-1])

    def entropy(logits: torch.Tensor, ahead: int) -> torch.Tensor:
        return F.cross_entropy(logits.flatten(0, 1), ids[:, ahead:].flatten(), reduction="sum") / (2 * 11)

    depths = [entropy(logits, 1 + depth) for depth, logits in enumerate(output.mtp_logits_BTV, start=1)]
    assert len(depths) == 2
    expected = entropy(output.logits_BTV, 1) + deep.mtp_loss_weight / 2 * sum(depths) + output.aux_loss
    total, _ = objective(Pretrain(model=deep))(model, {"ids": ids, "documents": documents})
    assert torch.allclose(total, expected, rtol=1e-5)

    supervised = torch.ones_like(ids, dtype=torch.bool)
    batch = {"ids": ids, "documents": documents, "supervised": supervised, "scale": torch.tensor(1.0)}
    total, metrics = supervised_loss(model, batch)
    main, aux_loss = metrics["supervised_loss"], metrics["balance_loss"]
    assert torch.allclose(total, main + aux_loss + deep.mtp_loss_weight * metrics["mtp_loss"], rtol=1e-5)
    whole = model(ids)
    sums = [
        F.cross_entropy(logits[:, : 12 - ahead].flatten(0, 1), ids[:, ahead:].flatten(), reduction="sum")
        for ahead, logits in enumerate(whole.mtp_logits_BTV, start=2)
    ]
    assert torch.allclose(torch.as_tensor(metrics["mtp_loss"]), sum(sums) / torch.tensor(2.0), rtol=1e-5)

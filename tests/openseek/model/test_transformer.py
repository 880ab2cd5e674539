"""Packing keeps documents apart; the multi-token prediction and the losses have the promised shapes."""

import torch

from openseek.model.config import ModelConfig, num_parameters
from openseek.model.transformer import Transformer, document_positions


def test_packed_documents_score_as_if_alone(small, build):
    model = build(small)
    first, second = torch.randint(0, 97, (1, 6)), torch.randint(0, 97, (1, 9))
    packed = torch.cat([first, second], 1)
    documents = torch.tensor([[0] * 6 + [1] * 9])
    with torch.no_grad():
        logits = model(packed, documents_BT=documents).logits_BTV
        alone = torch.cat([model(first).logits_BTV, model(second).logits_BTV], 1)
        assert (logits - alone).norm() / alone.norm() < 1e-5
        leaking = model(packed).logits_BTV
        assert (leaking - alone).norm() / alone.norm() > 1e-2
    assert document_positions(documents).tolist() == [[*range(6), *range(9)]]


def test_multi_token_prediction_sees_one_token_ahead_and_no_further(small, build):
    model = build(small)
    ids = torch.randint(0, 97, (1, 10))
    changed = ids.clone()
    changed[0, 6] = (changed[0, 6] + 1) % 97
    with torch.no_grad():
        before, after = (model(x, mtp=True).mtp_logits_BTV for x in (ids, changed))
    assert before.shape == (1, 9, 97)
    change = (before - after).norm(dim=-1)[0] / before.norm(dim=-1)[0]
    assert change[:5].max() < 1e-5
    assert change[5] > 1e-2  # position 5 reads the embedding of token 6


def test_outputs_of_training_and_evaluation_mode(small, build):
    model = build(small)
    ids = torch.randint(0, 97, (2, 8))
    quiet = model(ids)
    assert quiet.mtp_logits_BTV is None
    assert quiet.aux_loss.item() == 0
    assert quiet.logits_BTV.dtype == torch.float32
    loud = model.train()(ids)
    assert loud.mtp_logits_BTV is not None
    assert loud.aux_loss.item() > 0
    (loud.logits_BTV.logsumexp(-1).mean() + loud.mtp_logits_BTV.logsumexp(-1).mean() + loud.aux_loss).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_the_counted_parameters_are_those_of_the_model(small):
    for config in (
        small,
        ModelConfig(vocab_size=64, q_lora_rank=24, tie_word_embeddings=False, num_nextn_predict_layers=0),
    ):
        assert num_parameters(config) == sum(p.numel() for p in Transformer(config).parameters())

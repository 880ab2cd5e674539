"""The parameter groups."""

import torch

from openseek.train.optimizer import parameter_groups


def test_vectors_do_not_decay():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    matrices, vectors = parameter_groups(model, 0.1)
    assert [p.dim() for p in matrices["params"]] == [2] and matrices["weight_decay"] == 0.1
    assert len(vectors["params"]) == 3 and vectors["weight_decay"] == 0.0

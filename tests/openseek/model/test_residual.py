"""The residual of a block can be exchanged: n streams behind the same interface, without a change elsewhere."""

import dataclasses

import pytest
import torch
from torch import nn

from openseek.model.residual import RESIDUALS, Connection, Ends, Residual
from openseek.model.transformer import Transformer

STREAMS = 3


class Streams(Connection):
    """Static hyper-connections: a weighted sum of the streams is read, each stream gets its share of the output."""

    def __init__(self, config, layer, part):
        super().__init__(config, layer, part)
        self.read_weights = nn.Parameter(torch.full((STREAMS,), 1 / STREAMS))
        self.write_weights = nn.Parameter(torch.ones(STREAMS))

    def read(self, streams):
        return (streams * self.read_weights[:, None]).sum(-2)

    def write(self, streams, output_BTD):
        return streams + self.write_weights[:, None] * output_BTD[..., None, :]


class StreamEnds(Ends):
    def widen(self, x_BTD):
        return x_BTD[..., None, :].expand(*x_BTD.shape[:-1], STREAMS, -1)

    def narrow(self, streams):
        return streams.mean(-2)


@pytest.fixture
def streams(monkeypatch):
    """The kind "add" is, for one test, the streams above."""
    monkeypatch.setitem(RESIDUALS, "add", Residual(Streams, StreamEnds))


def test_equal_streams_are_the_plain_residual_and_unequal_ones_are_not(small, build, streams):
    config = dataclasses.replace(small, num_nextn_predict_layers=2)
    wide = build(config)
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setitem(RESIDUALS, "add", Residual(Connection, Ends))
        plain = build(config)
        own = dict(wide.named_parameters())
        for name, parameter in plain.named_parameters():
            own[name].copy_(parameter)
        for name, buffer in plain.named_buffers():
            wide.get_buffer(name).copy_(buffer)
    ids = torch.randint(0, 97, (2, 9))
    with torch.no_grad():
        ours, theirs = wide(ids, mtp=True), plain(ids, mtp=True)
        assert len(ours.mtp_logits_BTV) == 2
        pairs = zip(ours.mtp_logits_BTV, theirs.mtp_logits_BTV, strict=True)
        for a, b in ((ours.logits_BTV, theirs.logits_BTV), *pairs):
            assert (a - b).norm() / b.norm() < 1e-5
        wide.layers[1].mlp_residual.write_weights[0] = 3.0
        changed = wide(ids, mtp=False).logits_BTV
    assert (changed - theirs.logits_BTV).norm() / theirs.logits_BTV.norm() > 1e-2


def test_weights_of_a_residual_are_trained_and_saved_with_the_model(small, streams):
    model = Transformer(small).train()
    output = model(torch.randint(0, 97, (2, 9)))
    (output.logits_BTV.logsumexp(-1).mean() + output.mtp_logits_BTV[0].logsumexp(-1).mean()).backward()
    names = [name for name in model.state_dict() if "residual" in name]
    assert len(names) == 2 * 2 * (3 + 1)  # two weights for two parts of three layers and one prediction block
    assert all(model.get_parameter(name).grad is not None for name in names)


def test_the_plain_residual_has_no_weights_and_copies_nothing(small):
    config_names = Transformer(small).state_dict()
    assert not [name for name in config_names if "residual" in name or "ends" in name]
    x = torch.randn(1, 2, 48)
    assert Connection(small, 0, "mlp").read(x) is x
    assert Ends(small).widen(x) is x
    assert Ends(small).narrow(x) is x

"""DeepSeekMoE (arXiv 2401.06066, 2408.15664): sigmoid router with bias balancing, routed and shared experts.

Letters: B batch, T position, D hidden, F inner width, E routed expert, K experts a token, M = B*T tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Self

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from openseek.model.config import ModelConfig


class FeedForward(nn.Module):
    """SwiGLU: down(silu(gate(x)) * up(x))."""

    def __init__(self, hidden_size: int, inner_size: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(hidden_size, inner_size, bias=False)
        self.up_proj = nn.Linear(hidden_size, inner_size, bias=False)
        self.down_proj = nn.Linear(inner_size, hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to the last dim."""
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Router(nn.Module):
    """Chooses K experts a token by sigmoid affinity plus a balancing bias, and weights them by the affinity alone."""

    e_score_correction_bias: Tensor
    load_E: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.empty(config.n_routed_experts, config.hidden_size))
        # A float32 buffer, not a parameter: no gradient reaches it and weight decay must not move it.
        self.register_buffer("e_score_correction_bias", torch.zeros(config.n_routed_experts, dtype=torch.float32))
        # Tokens each expert received since the last update; whole numbers, so that casting the model keeps them exact.
        self.register_buffer("load_E", torch.zeros(config.n_routed_experts, dtype=torch.int64), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Follow the model to another device; the bias stays float32, since bfloat16 would change choices."""
        exact = self.e_score_correction_bias
        super()._apply(fn, recurse)
        moved = self.e_score_correction_bias
        if moved.dtype != exact.dtype:
            self.e_score_correction_bias = exact.to(moved.device)
        return self

    def forward(self, x_MD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(scores [M, E], chosen experts [M, K], their weights [M, K]), all in float32."""
        c = self.config
        scores_ME = F.linear(x_MD.float(), self.weight.float()).sigmoid()
        with torch.no_grad():
            choice_ME = scores_ME + self.e_score_correction_bias
            if c.n_group > 1:
                choice_ME = self._keep_best_groups(choice_ME)
            chosen_MK = choice_ME.topk(c.num_experts_per_tok, dim=-1).indices
        weights_MK = scores_ME.gather(1, chosen_MK)
        if c.norm_topk_prob:
            weights_MK = weights_MK / (weights_MK.sum(-1, keepdim=True) + 1e-20)
        return scores_ME, chosen_MK, weights_MK * c.routed_scaling_factor

    def _keep_best_groups(self, choice_ME: Tensor) -> Tensor:
        """Mask the experts outside each token's topk_group groups; a group scores the sum of its best two."""
        c = self.config
        grouped = choice_ME.view(-1, c.n_group, c.n_routed_experts // c.n_group)
        best = grouped.topk(2, dim=-1).values.sum(-1).topk(c.topk_group, dim=-1).indices
        keep = torch.zeros(grouped.shape[:2], dtype=torch.bool, device=choice_ME.device).scatter_(1, best, True)
        return grouped.masked_fill(~keep[..., None], float("-inf")).view_as(choice_ME)


class Experts(nn.Module):
    """The routed experts' weights, stacked: gate and up in one tensor [E, 2F, D], down [E, D, F]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        experts, hidden, inner = config.n_routed_experts, config.hidden_size, config.moe_intermediate_size
        self.gate_up_proj = nn.Parameter(torch.empty(experts, 2 * inner, hidden))
        self.down_proj = nn.Parameter(torch.empty(experts, hidden, inner))

    def forward(self, x_MD: Tensor, chosen_MK: Tensor, weights_MK: Tensor) -> Tensor:
        """Weighted sum of each token's experts. Tokens are sorted by expert, so each expert does one matrix product."""
        num_choices = chosen_MK.shape[1]
        order = chosen_MK.flatten().argsort(stable=True)
        counts = torch.bincount(chosen_MK.flatten(), minlength=self.gate_up_proj.shape[0]).tolist()
        tokens = order // num_choices
        segments = x_MD[tokens].split(counts)
        outputs = []
        # An expert without tokens takes part with an empty segment: its gradient is zero, not missing.
        for segment, gate_up, down in zip(segments, self.gate_up_proj.unbind(), self.down_proj.unbind(), strict=True):
            gate, up = F.linear(segment, gate_up).chunk(2, dim=-1)
            outputs.append(F.linear(F.silu(gate) * up, down))
        weighted = torch.cat(outputs) * weights_MK.flatten()[order, None].to(x_MD.dtype)
        return torch.zeros_like(x_MD).index_add_(0, tokens, weighted)


class MixtureOfExperts(nn.Module):
    """Routed experts plus the shared expert."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.gate = Router(config)
        self.experts = Experts(config)
        self.shared_experts = FeedForward(config.hidden_size, config.n_shared_experts * config.moe_intermediate_size)

    def forward(self, x_BTD: Tensor, real_BT: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(output, balance loss before its weight). `real_BT` is False at padding, which no statistic counts."""
        x_MD = x_BTD.reshape(-1, x_BTD.shape[-1])
        scores_ME, chosen_MK, weights_MK = self.gate(x_MD)
        balance = scores_ME.new_zeros(())
        if self.training:
            hits_BTE = torch.zeros_like(scores_ME).scatter_(1, chosen_MK, 1.0).view(*x_BTD.shape[:2], -1)
            scores_BTE = scores_ME.view_as(hits_BTE)
            if real_BT is None:
                real_BT = torch.ones(x_BTD.shape[:2], dtype=torch.bool, device=x_BTD.device)
            with torch.no_grad():
                self.gate.load_E += (hits_BTE * real_BT[..., None]).sum((0, 1)).to(torch.int64)
            balance = balance_loss(scores_BTE, hits_BTE, real_BT, self.config.num_experts_per_tok)
        routed = self.experts(x_MD, chosen_MK, weights_MK).view_as(x_BTD)
        return routed + self.shared_experts(x_BTD), balance


def balance_loss(scores_BTE: Tensor, hits_BTE: Tensor, real_BT: Tensor, num_experts_per_tok: int) -> Tensor:
    """Sequence-wise balance: mean over rows of sum_E f_E P_E; exactly 1 for a perfectly even router (arXiv 2412.19437).

    f_E = E / (K T) * tokens that chose E;  P_E = mean over tokens of score_E / sum of scores.
    """
    real = real_BT[..., None].to(scores_BTE.dtype)
    tokens_B1 = real.sum(1).clamp(min=1)
    share_BTE = scores_BTE / (scores_BTE.sum(-1, keepdim=True) + 1e-20)
    frequency_BE = (hits_BTE * real).sum(1) * scores_BTE.shape[-1] / (num_experts_per_tok * tokens_B1)
    return (frequency_BE * (share_BTE * real).sum(1) / tokens_B1).sum(-1).mean()


def routers(model: nn.Module) -> Iterator[Router]:
    """The model's routers in a fixed order."""
    return (module for module in model.modules() if isinstance(module, Router))


@torch.no_grad()
def update_router_bias(model: nn.Module, group: dist.ProcessGroup | None = None) -> Tensor:
    """After an optimizer step, move each bias towards an even load: b += rate * sign(mean(load) - load).

    Loads are summed over all micro-batches since the last call and over `group` (None: this process alone), and are
    then reset. Returns them, [routers, E]. Every rank of `group` must call it.
    """
    all_routers = list(routers(model))
    if not all_routers:
        return torch.zeros(0, 0)
    loads = torch.stack([router.load_E for router in all_routers])
    if group is not None:
        dist.all_reduce(loads, group=group)
    for router, load_E in zip(all_routers, loads.double(), strict=True):
        step = router.config.bias_update_rate * torch.sign(load_E.mean() - load_E)
        router.e_score_correction_bias += step.to(router.e_score_correction_bias.dtype)
        router.load_E.zero_()
    return loads

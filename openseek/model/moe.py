"""DeepSeekMoE (arXiv 2401.06066): the family's routers and their losses, routed and shared experts.

Letters: B batch, T position, D hidden, F inner width, E routed expert, K experts a token, M = B*T tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, Self

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


class Routing(NamedTuple):
    """What a router says of M tokens; floating numbers are float32."""

    logits_ME: Tensor
    """Before the affinity function."""
    scores_ME: Tensor
    """Affinities: sigmoid or sqrt(softplus) of each logit, or the softmax over all of them."""
    chosen_MK: Tensor
    """Experts that each token visits."""
    weights_MK: Tensor
    """Factors on their outputs."""


class Router(nn.Module):
    """Chooses K experts a token, in float32 whatever the model's type, and weights them by their affinity.

    With topk_method noaux_tc a balancing bias is added for the choice, never for the weights (arXiv 2408.15664). With
    groups, a token chooses among the experts of its topk_group best groups (arXiv 2405.04434, 2412.19437).
    `e_score_correction_bias` [E] is there if config.has_router_bias.
    """

    e_score_correction_bias: Tensor
    load_E: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.empty(config.n_routed_experts, config.hidden_size))
        if config.has_router_bias:
            # A float32 buffer, not a parameter: no gradient reaches it and weight decay must not move it.
            self.register_buffer("e_score_correction_bias", torch.zeros(config.n_routed_experts, dtype=torch.float32))
        # Tokens each expert received since the last update; whole numbers, so that casting the model keeps them exact.
        self.register_buffer("load_E", torch.zeros(config.n_routed_experts, dtype=torch.int64), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Follow the model to another device; the bias stays float32, since bfloat16 would change choices."""
        exact = self.e_score_correction_bias if self.config.has_router_bias else None
        super()._apply(fn, recurse)
        if exact is not None and self.e_score_correction_bias.dtype != exact.dtype:
            self.e_score_correction_bias = exact.to(self.e_score_correction_bias.device)
        return self

    def forward(self, x_MD: Tensor) -> Routing:
        """Route the tokens."""
        c = self.config
        with torch.autocast(x_MD.device.type, enabled=False):
            logits_ME = F.linear(x_MD.float(), self.weight.float())
            scores_ME = AFFINITIES[c.scoring_func](logits_ME)
        with torch.no_grad():
            choice_ME = scores_ME + self.e_score_correction_bias if c.has_router_bias else scores_ME
            if c.n_group > c.topk_group:
                choice_ME = self._keep_best_groups(choice_ME)
            chosen_MK = choice_ME.topk(c.num_experts_per_tok, dim=-1).indices
        weights_MK = scores_ME.gather(1, chosen_MK)
        if c.norm_topk_prob:
            weights_MK = weights_MK / (weights_MK.sum(-1, keepdim=True) + 1e-20)
        return Routing(logits_ME, scores_ME, chosen_MK, weights_MK * c.routed_scaling_factor)

    def _keep_best_groups(self, choice_ME: Tensor) -> Tensor:
        """Mask the experts outside each token's topk_group groups.

        A group scores the sum of its best two with noaux_tc, its best one with group_limited_greedy.
        """
        c = self.config
        grouped = choice_ME.view(-1, c.n_group, c.n_routed_experts // c.n_group)
        group_scores = grouped.topk(2 if c.has_router_bias else 1, dim=-1).values.sum(-1)
        best = group_scores.topk(c.topk_group, dim=-1).indices
        keep = torch.zeros(grouped.shape[:2], dtype=torch.bool, device=choice_ME.device).scatter_(1, best, True)
        return grouped.masked_fill(~keep[..., None], float("-inf")).view_as(choice_ME)


AFFINITIES: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "softmax": partial(torch.softmax, dim=-1),
    "sqrtsoftplus": lambda logits: F.softplus(logits).sqrt(),
}
"""config.scoring_func -> affinities from logits [M, E]."""


class Experts(nn.Module):
    """The routed experts' weights, stacked: gate and up in one tensor [E, 2F, D], down [E, D, F]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        experts, hidden, inner = config.n_routed_experts, config.hidden_size, config.moe_intermediate_size
        self.gate_up_proj = nn.Parameter(torch.empty(experts, 2 * inner, hidden))
        self.down_proj = nn.Parameter(torch.empty(experts, hidden, inner))

    def forward(self, x_MD: Tensor, chosen_MK: Tensor, weights_MK: Tensor) -> Tensor:
        """Weighted sum of each token's experts. Tokens are sorted by expert, so each expert does one matrix product."""
        flat = chosen_MK.flatten()
        order = flat.argsort(stable=True)
        load_E = torch.zeros(self.gate_up_proj.shape[0], dtype=torch.int64, device=flat.device)
        load_E.scatter_add_(0, flat, torch.ones_like(flat))
        # The row that stands at place p of the sorted ones is choice order[p] of all M * K.
        rows = x_MD[order // chosen_MK.shape[1]]
        product = grouped_linear if self.fits_grouped(rows) else looped_linear
        gate, up = product(rows, self.gate_up_proj, load_E).chunk(2, dim=-1)
        outputs = product(F.silu(gate) * up, self.down_proj, load_E)
        weighted = outputs * weights_MK.flatten()[order, None].to(x_MD.dtype)
        # Put back by place and then summed, not added up by atomics: the same bits in every run.
        return torch.empty_like(weighted).index_copy_(0, order, weighted).view(*chosen_MK.shape, -1).sum(1)

    def fits_grouped(self, rows: Tensor) -> bool:
        """Whether torch's grouped product takes such rows: bfloat16 on a GPU, in whole 16 bytes."""
        widths = (self.gate_up_proj.shape[2], self.down_proj.shape[2])
        return rows.is_cuda and rows.dtype == torch.bfloat16 and not any(width % 8 for width in widths)


def looped_linear(rows_PI: Tensor, weight_EOI: Tensor, load_E: Tensor) -> Tensor:
    """Each expert's matrix times its rows, load_E of them one expert after the other, [P, O]."""
    # An expert without tokens takes part with an empty segment: its gradient is zero, not missing.
    segments = rows_PI.split(load_E.tolist())
    return torch.cat([F.linear(rows, weight) for rows, weight in zip(segments, weight_EOI.unbind(), strict=True)])


def grouped_linear(rows_PI: Tensor, weight_EOI: Tensor, load_E: Tensor) -> Tensor:
    """The same in one launch, without waiting for the device to tell the loads."""
    return F.grouped_mm(rows_PI, weight_EOI.transpose(-2, -1), offs=load_E.cumsum(0).to(torch.int32))


class MixtureOfExperts(nn.Module):
    """Routed experts plus the shared expert. No token is dropped."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.gate = Router(config)
        self.experts = Experts(config)
        self.shared_experts = None
        if config.n_shared_experts:
            inner_size = config.n_shared_experts * config.moe_intermediate_size
            self.shared_experts = FeedForward(config.hidden_size, inner_size)

    def forward(self, x_BTD: Tensor, real_BT: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(output, router losses times their weights, zero outside training mode).

        `real_BT` is False at padding, which no statistic counts.
        """
        x_MD = x_BTD.reshape(-1, x_BTD.shape[-1])
        routing = self.gate(x_MD)
        aux_loss = routing.scores_ME.new_zeros(())
        if self.training:
            if real_BT is None:
                real_BT = torch.ones(x_BTD.shape[:2], dtype=torch.bool, device=x_BTD.device)
            aux_loss = self._statistics(routing, real_BT)
        out_BTD = self.experts(x_MD, routing.chosen_MK, routing.weights_MK).view_as(x_BTD)
        if self.shared_experts is not None:
            out_BTD = out_BTD + self.shared_experts(x_BTD)
        return out_BTD, aux_loss

    def _statistics(self, routing: Routing, real_BT: Tensor) -> Tensor:
        """Count the load of each expert; the weighted sum of balance loss and z-loss."""
        c = self.config
        hits_BTE = torch.zeros_like(routing.scores_ME).scatter_(1, routing.chosen_MK, 1.0).view(*real_BT.shape, -1)
        if not inside_backward():
            self.gate.load_E += (hits_BTE * real_BT[..., None]).sum((0, 1)).to(torch.int64)
        scores_BTE = routing.scores_ME.view_as(hits_BTE)
        if c.scoring_func != "softmax":
            scores_BTE = scores_BTE / (scores_BTE.sum(-1, keepdim=True) + 1e-20)
        aux_loss = c.aux_loss_alpha * balance_loss(scores_BTE, hits_BTE, real_BT, c.num_experts_per_tok)
        if c.router_z_loss_alpha:
            aux_loss = aux_loss + c.router_z_loss_alpha * z_loss(routing.logits_ME.view_as(hits_BTE), real_BT)
        return aux_loss


def inside_backward() -> bool:
    """Whether a backward pass is running: a forward pass inside it repeats one whose activations were not kept."""
    return torch._C._current_graph_task_id() != -1


def balance_loss(share_BTE: Tensor, hits_BTE: Tensor, real_BT: Tensor, num_experts_per_tok: int) -> Tensor:
    """Sequence-wise balance: mean over rows of sum_E f_E P_E; exactly 1 for a perfectly even router (arXiv 2412.19437).

    f_E = E / (K T) * tokens that chose E;  P_E = mean over tokens of `share_BTE`, affinities that sum to 1.
    """
    real = real_BT[..., None].to(share_BTE.dtype)
    tokens_B1 = real.sum(1).clamp(min=1)
    frequency_BE = (hits_BTE * real).sum(1) * share_BTE.shape[-1] / (num_experts_per_tok * tokens_B1)
    return (frequency_BE * (share_BTE * real).sum(1) / tokens_B1).sum(-1).mean()


def z_loss(logits_BTE: Tensor, real_BT: Tensor) -> Tensor:
    """Mean over real tokens of the squared logarithm of the summed exponentials (ST-MoE, arXiv 2202.08906)."""
    real = real_BT.to(logits_BTE.dtype)
    return (logits_BTE.logsumexp(-1).square() * real).sum() / real.sum().clamp(min=1)


def routers(model: nn.Module) -> Iterator[Router]:
    """The model's routers in a fixed order."""
    return (module for module in model.modules() if isinstance(module, Router))


@torch.no_grad()
def update_router_bias(model: nn.Module, group: dist.ProcessGroup | None = None) -> Tensor:
    """After an optimizer step, move each bias towards an even load: b += rate * sign(mean(load) - load).

    Loads are summed over all micro-batches since the last call and over `group` (None: this process alone), and are
    then reset. Returns them, [routers, E], also of routers without a bias. Every rank of `group` must call it.
    """
    all_routers = list(routers(model))
    if not all_routers:
        return torch.zeros(0, 0)
    loads = torch.stack([router.load_E for router in all_routers])
    if group is not None:
        dist.all_reduce(loads, group=group)
    for router, load_E in zip(all_routers, loads.double(), strict=True):
        if router.config.has_router_bias:
            step = router.config.bias_update_rate * torch.sign(load_E.mean() - load_E)
            router.e_score_correction_bias += step.to(router.e_score_correction_bias.dtype)
        router.load_E.zero_()
    return loads

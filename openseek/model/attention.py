"""The kinds of attention that a block can have: one file a kind, one line here.

A kind is a module built as `Kind(config, layer)`. Its static method `kept_widths(config)` tells the widths of the
vectors that decoding keeps of each past token; its output projection is called `o_proj`. Its forward pass is

    (x [B, T, D], rotary tables of the T positions, mask [B, 1, T, S] or None for causal, cache or None) -> [B, T, D]

and with a cache it writes its new tokens there and attends over all S that the cache then holds.
"""

from openseek.model.grouped_query_attention import GroupedQueryAttention
from openseek.model.latent_attention import LatentAttention

ATTENTIONS = {"mla": LatentAttention, "gqa": GroupedQueryAttention}
"""ModelConfig.attention -> the kind."""

"""A mixture: how large a share of training each source has, and how often that repeats it."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Mix:
    """Weights of the sources."""

    weights: dict[str, float] = field(default_factory=dict)
    """Share of each source (normalised to sum 1; a source left out has none); empty: in proportion to tokens."""
    temperature: float = 1.0
    """Without weights: shares go as tokens^(1/temperature), so that above 1 small sources weigh more."""
    train_tokens: int = 0
    """Tokens that training will see, from which epochs are worked out; 0: as many as the sources hold."""
    max_epochs: float = 0.0
    """Most times that a source may be repeated; 0: no limit."""

    def __post_init__(self) -> None:
        for source, weight in self.weights.items():
            if not 0 <= weight < float("inf"):
                raise ValueError(f"mix.weights gives {source!r} the weight {weight}: it must not be negative")
        if self.weights and not sum(self.weights.values()):
            raise ValueError("mix.weights are all 0: give at least one source a weight, or no weights at all")
        if self.weights and self.temperature != 1.0:
            raise ValueError("mix.temperature only works without mix.weights: leave one of the two out")
        if self.temperature <= 0:
            raise ValueError(f"mix.temperature is {self.temperature}: it must be above 0")
        for name in ("train_tokens", "max_epochs"):
            if getattr(self, name) < 0:
                raise ValueError(f"mix.{name} is {getattr(self, name)}: it must not be negative")


def entries(tokens: dict[str, int], config: Mix) -> list[dict[str, Any]]:
    """[{source, weight, tokens, epochs}] of the sources that have a share, by name, from the tokens that each holds.

    ValueError names a source that is not there, is empty, or would be repeated too often.
    """
    if unknown := sorted(set(config.weights) - set(tokens)):
        raise ValueError(
            f"mix.weights names {', '.join(unknown)}, but the token shards have: {', '.join(sorted(tokens))}"
        )
    shares = config.weights or {name: count ** (1 / config.temperature) for name, count in tokens.items()}
    total = sum(shares.values())
    if not total:
        raise ValueError("mix: the token shards hold no tokens: look at the rows that the tasks before dropped")
    planned = config.train_tokens or sum(tokens.values())
    chosen = []
    for source in sorted(name for name, share in shares.items() if share > 0):
        if not tokens[source]:
            raise ValueError(f"mix.weights gives {source!r} a weight, but it has no tokens: leave it out")
        weight = shares[source] / total
        epochs = weight * planned / tokens[source]
        if config.max_epochs and epochs > config.max_epochs:
            raise ValueError(
                f"mix: {planned} training tokens repeat {source!r} {epochs:.2f} times, more than max_epochs "
                f"{config.max_epochs:g}: lower its weight ({weight:.4f}) or train_tokens"
            )
        chosen.append({"source": source, "weight": weight, "tokens": tokens[source], "epochs": round(epochs, 6)})
    return chosen

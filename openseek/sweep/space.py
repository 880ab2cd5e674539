"""Points of a sweep as numbers: shares on a simplex with caps, recipe fields scaled to [0, 1]."""

from collections.abc import Sequence

import numpy as np

from openseek.sweep.config import FieldRange, SweepConfig

Array = np.ndarray

LEAST_SHARE = 2e-4
"""A smaller share is none: it would be a handful of sequences of a proxy."""
DIGITS = 6


def matrix(points: Sequence[dict[str, float]], config: SweepConfig) -> Array:
    """Points by features: the shares of the domains, normalised, then the scaled fields.

    Raises ValueError for a point that lacks a domain or field, has another, or has a share below 0 or none above.
    """
    rows, names = [], [*config.domains, *config.fields]
    for point in points:
        if missing := set(names) ^ set(point):
            raise ValueError(f"sweep: a point and the sweep differ in {', '.join(sorted(missing))}: give each a value")
        shares = [point[name] for name in config.domains]
        if shares and not (min(shares) >= 0 and 0 < sum(shares) < np.inf):
            raise ValueError(f"sweep: weights {shares} must not be negative, and one must be above 0")
        fields = [scaled(point[name], config.fields[name]) for name in config.fields]
        rows.append([share / sum(shares) for share in shares] + fields)
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(names))


def point(row: Array, config: SweepConfig) -> dict[str, float]:
    """Weights and values of one row of features; tiny shares are 0, weights sum to 1, whole numbers are whole."""
    number = len(config.domains)
    shares = np.where(row[:number] < LEAST_SHARE, 0.0, row[:number])
    if number:
        shares = np.round(within_caps(shares / shares.sum(), _caps(config)), DIGITS)
        room = np.array(list(config.caps.values())) - shares
        shares[np.argmax(np.where(shares > 0, room, -1.0))] += 1 - shares.sum()
    weights = dict(zip(config.domains, (round(float(share), DIGITS) for share in shares), strict=True))
    values = {
        name: value_of(float(z), config.fields[name]) for name, z in zip(config.fields, row[number:], strict=True)
    }
    return {**weights, **values}


def scaled(value: float, field: FieldRange) -> float:
    """Place of a value in its range: 0 at low, 1 at high."""
    if field.scale == "log":
        return float(np.log(value / field.low) / np.log(field.high / field.low))
    return (value - field.low) / (field.high - field.low)


def value_of(place: float, field: FieldRange) -> float:
    """Value at a place in the range, to six significant digits."""
    place = min(1.0, max(0.0, place))
    if field.scale == "log":
        value = field.low * (field.high / field.low) ** place
    else:
        value = field.low + place * (field.high - field.low)
    if field.integer:
        steps = min(round(value / field.multiple), int(field.high // field.multiple))
        return float(steps * field.multiple)
    return float(f"{value:.6g}")


def natural(config: SweepConfig) -> Array:
    """Features of the reference: domains in proportion to their tokens, fields at their current values."""
    tokens = np.array(list(config.domains.values()), dtype=np.float64)
    shares = within_caps(tokens / tokens.sum(), _caps(config)) if len(tokens) else tokens
    ranges = config.fields.values()
    return np.r_[shares, [0.5 if f.current is None else scaled(f.current, f) for f in ranges]]


def uniform(config: SweepConfig) -> Array:
    """Features of the mixture that is as even as the caps allow (UniMax), fields at their current values."""
    row, number = natural(config), len(config.domains)
    row[:number] = within_caps(np.full(number, 1 / number), _caps(config))
    return row


def within_caps(shares: Array, caps: Array) -> Array:
    """Shares that sum to 1 under the caps: what is above a cap goes to the others in proportion, then by their room."""
    shares = np.array(shares, dtype=np.float64)
    for _ in range(len(shares)):
        over = shares > caps
        if not over.any():
            return shares
        shares = np.where(over, caps, shares)
        free, rest = ~over & (shares < caps), 1 - shares.sum()
        if shares[free].sum() > 0:
            shares[free] *= 1 + rest / shares[free].sum()
        elif rest > 0:
            shares += rest * (caps - shares) / (caps - shares).sum()
    return np.minimum(shares, caps)


def rows_within_caps(rows: Array, config: SweepConfig) -> Array:
    """Rows of features with fields in [0, 1] and shares that sum to 1 under the caps."""
    number, caps, rows = len(config.domains), _caps(config), np.array(rows)
    rows[:, number:] = np.clip(rows[:, number:], 0.0, 1.0)
    for place in np.flatnonzero((rows[:, :number] > caps).any(1)):
        rows[place, :number] = within_caps(rows[place, :number], caps)
    return rows


def _caps(config: SweepConfig) -> Array:
    return np.array(list(config.caps.values()), dtype=np.float64)

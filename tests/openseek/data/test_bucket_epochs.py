import random

import pytest

from openseek.data.bucket_epochs import bucket_shares, buckets_with_room, ordered_buckets, ratios
from openseek.data.mixture import Quality
from openseek.data.mixture_sources import Bucket

BUCKETS = {"high": Bucket(100, ("h",)), "low": Bucket(300, ("l",)), "medium": Bucket(100, ("m",))}
ORDER = ["low", "medium", "high"]


def test_buckets_are_ordered_by_usual_names_by_number_or_as_told() -> None:
    assert ordered_buckets("web", BUCKETS, Quality()) == ORDER
    assert ordered_buckets("web", {"10": Bucket(1, ()), "9": Bucket(1, ())}, Quality()) == ["9", "10"]
    assert ordered_buckets("web", {f"q{i}": Bucket(1, ()) for i in (10, 9, 0)}, Quality()) == ["q0", "q9", "q10"]
    odd = {"fine": Bucket(1, ()), "poor": Bucket(1, ()), "empty": Bucket(0, ())}
    assert ordered_buckets("web", odd, Quality(order=("poor", "fine"))) == ["poor", "fine"]
    with pytest.raises(ValueError, match="order of a1, b2 of 'web'"):
        ordered_buckets("web", {"a1": Bucket(1, ()), "b2": Bucket(1, ())}, Quality())
    with pytest.raises(ValueError, match="order of fine, poor of 'web'"):
        ordered_buckets("web", odd, Quality())


def test_ratios_rise_with_quality() -> None:
    # The middles of the buckets lie at 0.3, 0.7 and 0.9 of the tokens.
    assert ratios(BUCKETS, ORDER, Quality(power=2)) == pytest.approx({"low": 0.09, "medium": 0.49, "high": 0.81})
    assert set(ratios(BUCKETS, ORDER, Quality(power=0)).values()) == {1.0}
    assert ratios(BUCKETS, ORDER, Quality(leave_out_below=0.4))["low"] == 0
    with pytest.raises(ValueError, match="repeats 'low' \\(2\\) more often than the better 'medium' \\(1\\)"):
        ratios(BUCKETS, ORDER, Quality(ratios={"low": 2, "medium": 1, "high": 3}))
    with pytest.raises(ValueError, match="no entry for the bucket 'low'"):
        ratios(BUCKETS, ORDER, Quality(ratios={"medium": 1, "high": 3}))


def test_shares_spend_the_budget_and_epochs_never_fall() -> None:
    draw = random.Random(0)
    for _ in range(200):
        buckets = {str(i): Bucket(draw.randint(1, 1000), ()) for i in range(draw.randint(1, 20))}
        quality = Quality(power=draw.uniform(0, 4), max_epochs=7, leave_out_below=draw.choice([0, 0.3]))
        order = ordered_buckets("web", buckets, quality)
        budget = draw.uniform(0.05, 1) * buckets_with_room(buckets, order, quality, float("inf"))
        shares = bucket_shares("web", buckets, order, quality, budget, float("inf"))
        assert sum(shares.values()) == pytest.approx(1)
        epochs = [shares.get(name, 0.0) * budget / buckets[name].tokens for name in order]
        assert all(worse <= better * (1 + 1e-9) for worse, better in zip(epochs, epochs[1:], strict=False))
        assert max(epochs) <= 7 * (1 + 1e-6)


def test_no_bucket_in_use_is_told() -> None:
    with pytest.raises(ValueError, match="leaves no bucket of 'web' in use"):
        bucket_shares("web", {"low": Bucket(5, ())}, ["low"], Quality(leave_out_below=0.9), 5, 7)

"""Reinforcement learning from verifiable rewards: rollouts of our own model and the rules that score them."""

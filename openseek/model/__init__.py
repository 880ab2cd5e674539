"""The DeepSeek-V3 model (arXiv 2412.19437) in plain PyTorch."""

"""The library: values in memory and file formats, from a batch of documents to a checkpoint."""

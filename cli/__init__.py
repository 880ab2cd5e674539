"""The `openseek` command: looks a name up and calls it."""

"""FlagScale's command lines, handed over to `openseek`."""

"""The steps of the lifecycle: finished directories in, one finished directory out."""

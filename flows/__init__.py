"""Order: which task follows which, with which recipe."""

import os

# Read by Prefect when it is imported, so they stand here, before any flow can import it. Its own temporary server (if
# a flow is called without ours) needs more than the 20 s that it gives itself; and nothing is reported to anybody.
for _name, _value in {
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}.items():
    os.environ.setdefault(_name, _value)

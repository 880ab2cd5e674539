"""`openseek publish`: copy a finished release to where it is published."""

from pathlib import Path

import tyro


def publish(release: tyro.conf.Positional[Path], destination: str) -> int:
    """Copy the files of a finished `release` that are for everybody; an interrupted copy goes on.

    Args:
        release: Directory of a finished release.
        destination: Folder or URL, such as s3://bucket/name; credentials come from the environment.
    """
    from openseek.artifact import read_manifest
    from openseek.data import release as releases

    manifest = read_manifest(release)
    if manifest["task"] != "release":
        raise ValueError(f"{release} is the work of {manifest['task']!r}: give the directory of a finished `release`")
    copied = releases.publish(release, destination, manifest["fingerprint"])
    print(f"{destination}: {copied} files copied")
    return 0

"""Source `kaggle`: one version of a Kaggle data set, through kagglehub and its cache."""

from __future__ import annotations

from pathlib import Path

from deepfake.base.errors import SourceError
from deepfake.params.ingest.sources import KaggleSource
from deepfake.sources.checksums import verify
from deepfake.sources.item import Listing
from deepfake.sources.layout import walk_in


def list_kaggle(source: KaggleSource, root: Path) -> Listing:
    """Download the data set (once; kagglehub keeps it) and list the files in its folder `source.folder`.

    Names in a list of digests are relative to the top folder of the data set.

    Raises:
        SourceError: kagglehub is not installed, the data set can't be downloaded, or it has no pictures.
    """
    top = _download(source)
    listing = walk_in(top, source)
    verify(source, root, top, [item.file for item in listing.items])
    return listing


def _download(source: KaggleSource) -> Path:
    where = f"source {source.name!r}"
    try:
        import kagglehub
        from kagglehub import exceptions
    except ImportError as error:
        raise SourceError(f'{where}: kagglehub is not installed: pip install -e ".[kaggle]"') from error
    handle = f"{source.handle}/versions/{source.version}"
    known = (
        OSError,  # also all errors of its HTTP library: no network, unknown data set, access not granted
        ValueError,
        exceptions.UnauthenticatedError, exceptions.CredentialError, exceptions.BackendError,
        exceptions.NotFoundError, exceptions.DataCorruptionError,
    )  # fmt: skip
    try:
        return Path(kagglehub.dataset_download(handle))
    except known as error:
        words = " ".join(str(error).split())[:300]
        raise SourceError(
            f"{where}: can't download the Kaggle data set {handle} ({type(error).__name__}: {words}); "
            "check the network, the name, the version and your Kaggle token (KAGGLE_API_TOKEN); or "
            "download it by hand and use kind: archive"
        ) from error

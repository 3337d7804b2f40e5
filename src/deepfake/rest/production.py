"""The model that judges now, replaced while requests go on when another version is promoted."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from threading import Event
from typing import Protocol

from deepfake.base.errors import DeepfakeError
from deepfake.bundle.predictor import Predictor

LOG = logging.getLogger("deepfake.serve")


@dataclass(frozen=True)
class LoadedModel:
    """A predictor that is ready.

    Attributes:
        version: number in the registry, or the first digits of the weights' digest for a folder.
    """

    predictor: Predictor
    version: str


class ModelSource(Protocol):
    """Where the model comes from."""

    def identity(self) -> str:
        """A value that changes when another model must judge.

        Raises:
            DeepfakeError: the registry does not answer now.
        """

    def load(self) -> LoadedModel:
        """The model of this moment.

        Raises:
            DeepfakeError: there is none; the text says what to run.
        """


class RegistryModel:
    """A version or an alias of the registry; by default what is in production, else the starter."""

    def __init__(self, uri: str | None) -> None:
        self._uri = uri

    def identity(self) -> str:
        """Number and digest: a new registry uses the same numbers again."""
        from deepfake.base.parameters import load_params
        from deepfake.params.whole import Params
        from deepfake.registry.starter import production_or_starter
        from deepfake.registry.versions import BUNDLE_DIGEST, find_version

        if self._uri is None:
            version, _ = production_or_starter(load_params(Params).register_.name)
        else:
            version = find_version(self._uri)
        return f"{version.version} {version.tags.get(BUNDLE_DIGEST, '')}"

    def load(self) -> LoadedModel:
        """From the registry; see `load_model`."""
        from deepfake.serve.models import load_model

        return LoadedModel(*load_model(self._uri))


class BundleFolder:
    """A bundle's folder, or the starter's where there is no registry; it stays what it is."""

    def __init__(self, folder: str | None) -> None:
        self._folder = folder

    def identity(self) -> str:
        """The folder's name."""
        return str(self._folder)

    def load(self) -> LoadedModel:
        """From the folder; see `load_model`."""
        from deepfake.serve.models import load_model

        return LoadedModel(*load_model(self._folder))


class Production:
    """Holds the model that judges. A request keeps the one that it began with.

    Attributes:
        now: None before the first one is loaded.
        swaps: how often another one took its place.
        failures: how often another one could not be loaded or asked for.
    """

    def __init__(self, source: ModelSource) -> None:
        self._source, self._identity = source, ""
        self._said = ""  # the last failure; it is logged once, not at every look
        self.now: LoadedModel | None = None
        self.swaps = self.failures = 0

    def start(self) -> None:
        """Load the first model.

        Raises:
            DeepfakeError: there is none.
        """
        self._identity = self._source.identity()  # before loading: a promotion in between is seen later
        self.now = _prepared(self._source)

    def check(self) -> None:
        """Look once for another model, and let it judge when it is ready.

        On a failure the old one stays.
        """
        try:
            identity = self._source.identity()
            if identity == self._identity:
                return
            loaded = _prepared(self._source)
        except DeepfakeError as error:
            self.failures += 1
            if str(error) != self._said:
                LOG.warning("the model stays as it is: %s", error)
            self._said = str(error)
            return
        self.now, self._identity, self._said = loaded, identity, ""
        self.swaps += 1
        LOG.info("version %s judges from now on", loaded.version)

    def watch(self, stop: Event, seconds: float) -> None:
        """Look for another model every so many seconds, until `stop` is set."""
        while not stop.wait(seconds):
            try:
                self.check()
            except Exception:
                self.failures += 1  # nothing may end the watch: the next look may succeed
                LOG.exception("the model stays as it is")


def _prepared(source: ModelSource) -> LoadedModel:
    loaded = source.load()
    loaded.predictor.prepare()
    return loaded

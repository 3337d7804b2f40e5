"""Errors that a person reads: each says what happened and what to do next."""

from __future__ import annotations


class DeepfakeError(Exception):
    """Base of every error that the project raises on purpose. Its text is for the user."""


class ParamsError(DeepfakeError):
    """`params.yaml` (or an override of it) does not fit the parameter models."""


class SourceError(DeepfakeError):
    """A source of pictures or a shard is missing, damaged or empty, or a source has only one class."""


class ExecutorError(DeepfakeError):
    """The processes or the cluster that work on shards are missing or died."""


class ValidationFailed(DeepfakeError):
    """A critical expectation on the data failed."""


class TrainingError(DeepfakeError):
    """Training can't start or go on: no weights, no device, no disk."""


class RegistryError(DeepfakeError):
    """The model registry is unreachable, empty, or refuses the request."""

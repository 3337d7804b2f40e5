"""A callback of Keras that sends the figures of each epoch to MLflow."""

from __future__ import annotations

import logging

import keras
import mlflow
from mlflow.exceptions import MlflowException

from deepfake.registry.tracking.runs import log_figures

_log = logging.getLogger(__name__)


class LiveCurves(keras.callbacks.Callback):
    """Sends each epoch's figures to the run. If MLflow can't be reached, the training continues."""

    def __init__(self, client: mlflow.MlflowClient, run_id: str) -> None:
        super().__init__()
        self._client, self._run_id = client, run_id

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        figures = {**(logs or {}), "learning_rate": float(self.model.optimizer.learning_rate)}
        try:
            log_figures(self._client, self._run_id, [(f"train/{k}", v, epoch) for k, v in figures.items()])
        except (MlflowException, OSError) as error:
            _log.warning("epoch %d is not in MLflow (%s); register will add it", epoch, error)

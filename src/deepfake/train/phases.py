"""What a phase trains, and at which rate. No TensorFlow here: training on JAX uses it too."""

from __future__ import annotations

import re

import keras

from deepfake.base.errors import TrainingError
from deepfake.networks.detector import Architecture, backbone_layers
from deepfake.params.train import Phase, Train
from deepfake.train.head import make_non_negative

HEAD_PHASE = 3

_WARM_UP_SHARE = 0.1  # of a phase's steps; in the first steps Adam's moments are noise


def architecture_of(recipe: Train, size: int) -> Architecture:
    """The architecture that the parameters ask for, with crops of `size` pixels."""
    return Architecture(
        model=recipe.model,
        size=size,
        dropout=recipe.dropout,
        batch_norm_momentum=recipe.batch_norm_momentum,
        branches=recipe.branches,
        residuals=recipe.residuals,
        backbone_end=recipe.backbone_end,
    )


def phases(recipe: Train) -> dict[int, Phase]:
    """All phases by number. The training skips a phase of 0 epochs."""
    return {1: recipe.phase1, 2: recipe.phase2, HEAD_PHASE: recipe.non_negative_head}


def choose_layers(model: keras.Model, number: int, trainable: str) -> None:
    """Freeze what a phase does not train.

    Args:
        trainable: see `chosen_part`; only phase 2 uses it.
    """
    # Phase 1 trains the new layers and freezes the backbone: the new layers' first gradients would damage
    # pretrained weights. Without pretrained weights it is a cheap warm-up of the other branches.
    chosen = {layer.name for layer in chosen_part(model, trainable)} if number == 2 else set()
    for layer in backbone_layers(model):
        layer.trainable = layer.name in chosen
    if number == HEAD_PHASE:
        make_non_negative(model)


def chosen_part(model: keras.Model, trainable: str) -> list[keras.layers.Layer]:
    """The layers of the backbone that phase 2 trains.

    Args:
        trainable: `all`; `layer-norms`: only these, 0.05 % of a tower's weights, so the tower keeps its
            knowledge (GenD, arXiv 2508.06248); `last-blocks:N`: the last N blocks and the layers after
            them; `head`: no layer of the backbone.

    Raises:
        TrainingError: the backbone has no such part.
    """
    layers = backbone_layers(model)
    if trainable == "all":
        return layers
    if trainable == "head":
        return []
    if trainable == "layer-norms":
        chosen = [layer for layer in layers if isinstance(layer, keras.layers.LayerNormalization)]
    else:
        chosen = _last_blocks(layers, int(trainable.removeprefix("last-blocks:")))
    if not chosen:
        raise TrainingError(
            f"train.trainable: the backbone of {model.name} has no {trainable}: give all or head, or set "
            "train.model to hybrid-clip-vit-b16"
        )
    return chosen


def _last_blocks(layers: list[keras.layers.Layer], number: int) -> list[keras.layers.Layer]:
    """The last N blocks and all layers after them; the backbone must number its blocks."""
    blocks = [re.match(r"[a-z]+_block(\d+)_", layer.name) for layer in layers]
    numbers = sorted({int(match[1]) for match in blocks if match})
    first = next(
        (place for place, match in enumerate(blocks) if match and int(match[1]) in numbers[-number:]),
        len(layers),
    )
    return layers[first:]


def compile_phase(model: keras.Model, phase: Phase, recipe: Train, steps: int) -> None:
    """AdamW (Loshchilov and Hutter 2019); its rate warms up, then falls along a cosine.

    Args:
        steps: batches in the whole phase.
    """
    warm_up = max(1, round(_WARM_UP_SHARE * steps))
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        warmup_target=phase.learning_rate,
        warmup_steps=warm_up,
        decay_steps=max(1, steps - warm_up),
    )
    accumulation, jax = recipe.gradient_accumulation, keras.backend.backend() == "jax"
    model.compile(
        optimizer=keras.optimizers.AdamW(
            schedule,  # counts batches, also if one update takes several batches
            weight_decay=recipe.weight_decay,
            gradient_accumulation_steps=accumulation if accumulation > 1 else None,
        ),
        # Its gradient divides. TensorFlow's float32 quotient starts from the processor's own estimate.
        loss=keras.losses.BinaryCrossentropy(from_logits=True, dtype="float32" if jax else "float64"),
        metrics=[keras.metrics.AUC(from_logits=True, name="auc")],
        jit_compile=jax,  # TensorFlow on CPUs: slower, and not bit-stable
    )
    # Built before the first step, because TensorFlow would otherwise trace that step twice.
    model.optimizer.build(model.trainable_variables)

"""params.yaml -> frozen, typed parameter models. Unknown keys are errors that name the allowed ones."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError
from pydantic.fields import FieldInfo

from deepfake.base.errors import ParamsError
from deepfake.params.data import Audit, Ingest, Preprocess, Validate
from deepfake.params.section import Fraction, Positive, Section
from deepfake.params.stress import Stress
from deepfake.params.training import Train


class Base(Section):
    seed: Annotated[int, Field(ge=1, lt=2**31)]  # TensorFlow takes a seed of 0 for "no seed"
    threads: Positive
    device: Literal["auto", "cpu", "gpu"]
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"]


class Evaluate(Section):
    calibration: Literal["temperature", "platt", "isotonic"]
    target_fpr: Annotated[float, Field(gt=0.0, lt=0.5)]
    conformal_error: Annotated[float, Field(gt=0.0, lt=0.5)]
    disagreement_quantile: Annotated[float, Field(gt=0.0, le=1.0)]
    bootstrap_draws: Annotated[int, Field(ge=10)]
    calibration_bins: Annotated[int, Field(ge=2)]
    compare: dict[str, str]

    @property
    def looks_at_views(self) -> bool:
        """Whether disagreement between views of a crop can make a verdict uncertain."""
        return self.disagreement_quantile < 1.0


class Explain(Section):
    panels: Positive
    scored: Positive


class Report(Section):
    failures: Annotated[int, Field(ge=0)]


class Register(Section):
    name: str
    min_test_auc: Fraction


class Params(Section):
    """Everything that `params.yaml` may hold: `base`, `audit` and one section per stage."""

    base: Base
    ingest: Ingest
    validate_: Annotated[Validate, Field(alias="validate")]
    audit: Audit
    preprocess: Preprocess
    train: Train
    evaluate: Evaluate
    stress: Stress
    explain: Explain
    report: Report
    register_: Annotated[Register, Field(alias="register")]


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check a parameter file.

    Args:
        path: a YAML file with one mapping per section.

    Raises:
        ParamsError: the file is missing, is no YAML mapping, or does not fit; the text names every
            offending key, what is wrong with it, and which keys are allowed there.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ParamsError(f"{path} does not exist: run from the repository root") from error
    except yaml.YAMLError as error:
        raise ParamsError(f"{path} is not valid YAML: {error}") from error
    return parse_params(content, origin=str(path))


def parse_params(content: Any, origin: str) -> Params:
    """Check already parsed parameters; `origin` names them in the error's text."""
    if not isinstance(content, dict):
        raise ParamsError(f"{origin} must hold a mapping of sections, got {type(content).__name__}")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        lines = [_explain(item, content) for item in error.errors()]
        raise ParamsError(f"{origin}: " + "; ".join(lines)) from error


def _explain(item: Any, content: Any) -> str:
    """One sentence for one pydantic error: where, what is wrong, what is allowed."""
    where = _where(item["loc"], content)
    if item["type"] == "extra_forbidden":
        allowed = _allowed_keys(item["loc"])
        close = difflib.get_close_matches(str(item["loc"][-1]), allowed, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        return f"unknown key {where}{hint}; allowed here: {', '.join(allowed)}"
    if item["type"] == "missing":
        return f"{where} is missing"
    return f"{where}: {item['msg']}, got {item['input']!r}"


def _where(loc: tuple[Any, ...], content: Any) -> str:
    """Dotted path without the union tags that pydantic puts into it."""
    parts: list[str] = []
    for depth, part in enumerate(loc):
        last = depth == len(loc) - 1
        is_tag = isinstance(content, dict) and part not in content and not last
        if not is_tag:
            parts.append(str(part))
            if isinstance(content, dict):
                content = content.get(part)
            elif isinstance(content, list | tuple) and isinstance(part, int):
                content = content[part]
    return ".".join(parts)


def _allowed_keys(loc: tuple[Any, ...]) -> list[str]:
    """Keys of the section that `loc`'s last element was found in."""
    models: list[type[BaseModel]] = [Params]
    for part in loc[:-1]:
        if isinstance(part, int):  # place in a list
            continue
        if len(models) > 1:  # a union, told apart by the tag that pydantic puts into `loc`
            models = [m for m in models if part in get_args(m.model_fields["kind"].annotation)]
        else:
            models = _models_in(_fields(models[0])[part].annotation)
    return list(_fields(models[0]))


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Every parameter model that an annotation names: itself, or inside lists, unions and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def flatten(params: Params) -> dict[str, Any]:
    """Dotted key -> scalar or list, as an experiment tracker wants them."""
    flat: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else key, inner)
        else:
            flat[prefix] = value

    walk("", params.model_dump(by_alias=True, mode="json"))
    return flat

"""Sections of params.yaml -> frozen, typed models. Unknown keys are errors that name the allowed ones."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from deepfake.base.errors import ParamsError

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1)]
Quality = Annotated[int, Field(ge=1, le=100)]  # of a JPEG, on the IJG scale
# Not "4:4:4" and "4:2:0": DVC writes them without quotes, and YAML 1.1 reads them as numbers of base 60.
Chroma = Literal["yuv444", "yuv420"]


class Section(BaseModel):
    """A frozen group of parameters; an unknown key in it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Sections(BaseModel):
    """The sections of a parameter file that one reader needs, one field each. It ignores all others.

    Pydantic uses some names itself. Such a field ends in an underscore: `validate_` is section `validate`.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=lambda name: name.rstrip("_"))

    def to_json(self) -> dict[str, Any]:
        """The sections as plain values for a JSON or YAML file, with the defaults filled in."""
        return self.model_dump(by_alias=True, mode="json")


S = TypeVar("S", bound=Sections)


def load_params(model: type[S], path: Path = Path("params.yaml")) -> S:
    """Read a parameter file and check the sections that `model` names.

    Raises:
        ParamsError: the file is missing, is no YAML mapping, or does not fit the model. The text names
            every wrong key, what is wrong with it, and which keys are allowed there.
    """
    return parse_params(model, read_params(path), origin=str(path))


def read_params(path: Path = Path("params.yaml")) -> dict[str, Any]:
    """All sections of a parameter file, unchecked.

    Raises:
        ParamsError: the file is missing, or is no YAML mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ParamsError(f"{path} does not exist: run from the repository root") from error
    except UnicodeDecodeError as error:
        raise ParamsError(f"{path} is not in UTF-8 ({error}): save it again as such") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2020-13-41
        raise ParamsError(f"{path} is not valid YAML: {error}") from error
    return _mapping(content, str(path))


def parse_params(model: type[S], content: Any, origin: str) -> S:
    """Check parameters that are parsed already. `origin` names their file in the error's text."""
    sections = _mapping(content, origin)
    try:
        return model.model_validate(sections)
    except ValidationError as error:
        lines = [_explain(item, model, sections) for item in error.errors()]
        raise ParamsError(f"{origin}: " + "; ".join(lines)) from error


def _mapping(content: Any, origin: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ParamsError(f"{origin} must hold a mapping of sections, got {type(content).__name__}")
    return content


def _explain(item: Any, model: type[BaseModel], content: Any) -> str:
    """One sentence for one pydantic error: where it is, what is wrong, what is allowed."""
    where = _where(item["loc"], content)
    if item["type"] == "extra_forbidden":
        allowed = _allowed_keys(model, item["loc"])
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


def _allowed_keys(model: type[BaseModel], loc: tuple[Any, ...]) -> list[str]:
    """Keys that are allowed beside the last element of `loc`."""
    models: list[type[BaseModel]] = [model]
    for part in loc[:-1]:
        if isinstance(part, int):  # place in a list
            continue
        if len(models) > 1:  # a union: pydantic puts the tag of the right member into `loc`
            models = [m for m in models if part in get_args(m.model_fields["kind"].annotation)]
        else:
            models = _models_in(_fields(models[0])[part].annotation)
    return list(_fields(models[0]))


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Every parameter model in an annotation, also inside lists and unions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def flatten(params: Mapping[str, Any]) -> dict[str, Any]:
    """Nested sections as one mapping for the experiment tracker: dotted key -> scalar or list."""
    flat: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else key, inner)
        else:
            flat[prefix] = value

    walk("", params)
    return flat

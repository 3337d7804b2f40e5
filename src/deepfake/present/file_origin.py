"""What a file says about its origin, in words. The score does not use it: the model sees only pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from deepfake.media.container import ContainerFacts, container_facts
from deepfake.media.metadata import Manifest, Metadata, read_metadata
from deepfake.params.ingest.limits import Limits

APART = "Anyone can write, change or remove this. It does not change the score."
NOTHING = (
    "The file says nothing about its origin. Most sites and messengers remove such facts, so this proves "
    "nothing."
)
_SHOWN = 600  # characters of a text
# Keyword of a text that generators write -> programs that write it.
_MARKS = {
    "parameters": "Stable Diffusion web interfaces", "workflow": "ComfyUI", "prompt": "ComfyUI",
    "invokeai_metadata": "InvokeAI", "invokeai_graph": "InvokeAI", "sd-metadata": "InvokeAI",
    "dream": "InvokeAI", "fooocus_scheme": "Fooocus", "generation_data": "a web service with generators",
}  # fmt: skip
_NAMES = (
    "stable diffusion", "midjourney", "dall-e", "novelai", "comfyui", "invokeai", "fooocus", "firefly",
    "made with google ai", "imagen", "flux", "openai", "leonardo.ai", "ideogram",
)  # fmt: skip
_SETTINGS = ("steps: ", "sampler: ")  # web interfaces write such a line after the prompt
_MADE = {
    "trainedalgorithmicmedia": "made by a generator",
    "compositewithtrainedalgorithmicmedia": "made in part by a generator",
    "algorithmicmedia": "made by a program",
    "algorithmicallyenhanced": "enhanced by a program",
    "digitalcapture": "taken by a camera",
}


@dataclass(frozen=True)
class FileOrigin:
    """What a file says about its origin.

    Attributes:
        claims: plain sentences, the most important first; empty: the file says nothing.
        facts: name -> value of everything that was found.
        says_generated: whether the file says that a generator made it or a part of it.
    """

    claims: tuple[str, ...]
    facts: dict[str, str]
    says_generated: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "says_generated": self.says_generated, "claims": list(self.claims), "facts": dict(self.facts),
            "note": APART if self.claims else NOTHING,
        }  # fmt: skip


def read_file_origin(data: bytes, limits: Limits) -> FileOrigin:
    """Read what a picture's file says about its origin.

    Args:
        data: bytes of a picture file, untrusted.

    Raises:
        ImageRejected: the bytes can't be used; the reason says why.
    """
    found, container = read_metadata(data, limits), container_facts(data, limits)
    generator = [*_generator_claims(found)]
    return FileOrigin(
        claims=(*_manifest_claims(found.manifest), *generator, *_camera_claims(found)),
        facts=dict(_facts(found, container)),
        says_generated=bool(generator) or _manifest_says_generated(found.manifest),
    )


def _manifest_says_generated(manifest: Manifest | None) -> bool:
    if manifest is None or manifest.state != "valid":
        return False
    return any("generator" in words for words in _kinds(manifest.source_types))


def _manifest_claims(manifest: Manifest | None) -> Iterator[str]:
    if manifest is None:
        return
    match manifest.state:
        case "not_checked":
            yield f"It holds a C2PA manifest, which was not read ({manifest.problem})."
        case "unreadable":
            yield f"It holds a C2PA manifest that can't be read: {manifest.problem}."
        case "invalid":
            yield f"Its C2PA manifest does not fit this file (changed later): {manifest.problem}."
        case _:
            said = "; ".join(_kinds(manifest.source_types)) or "nothing of how it was made"
            yield (
                f"Its C2PA manifest is intact. {manifest.tool or 'An unnamed program'} wrote it, signed "
                f"for {manifest.signer or 'an unnamed organisation'}, and says: {said}. No list of trusted "
                "signers was asked."
            )


def _generator_claims(found: Metadata) -> Iterator[str]:
    for words in _kinds(found.source_types):
        if "generator" in words:
            yield f"Its XMP says: {words}."
    for key, text in found.texts.items():
        programs = _MARKS.get(key.lower())
        if programs is not None:
            yield f"It holds a text that {programs} write, `{key}`: {_cut(text)}"
        elif (name := _named(text)) is not None:
            yield f"A text in it, `{key}`, names a generator ({name}): {_cut(text)}"
    for key, text in found.exif.items():
        if all(mark in text.lower() for mark in _SETTINGS):
            yield f"Its EXIF {key} holds a generator's settings: {_cut(text)}"
        elif (name := _named(text)) is not None and key in ("software", "description", "comment", "artist"):
            yield f"Its EXIF {key} names a generator ({name}): {_cut(text)}"
    for tool in found.tools:
        if _named(tool) is not None:
            yield f"Its XMP names a generator: {_cut(tool)}"


def _camera_claims(found: Metadata) -> Iterator[str]:
    camera = " ".join(found.exif[key] for key in ("camera maker", "camera") if key in found.exif)
    if camera:
        when = f", {found.exif['taken']}" if "taken" in found.exif else ""
        yield f"Its EXIF names a camera: {_cut(camera)}{when}."


def _facts(found: Metadata, container: ContainerFacts) -> Iterator[tuple[str, str]]:
    header = container.header
    yield "file", f"{header.format}, {header.width} × {header.height} pixels, {container.bytes:,} bytes"
    if header.jpeg_quality is not None:
        kind = "progressive" if container.progressive else "baseline"
        yield (
            "JPEG",
            (
                f"quality about {header.jpeg_quality}, chroma {container.subsampling}, {kind}, tables "
                f"{container.tables}"
            ),
        )
    yield from ((f"EXIF, {key}", _cut(text)) for key, text in found.exif.items())
    if found.has_place:
        yield "EXIF, place", "the file holds a GPS position"
    yield from ((f"text `{key}`", _cut(text)) for key, text in found.texts.items())
    if found.tools:
        yield "XMP, program", "; ".join(found.tools)
    if container.has_icc:
        yield "colour", "the file holds an ICC profile"
    if found.manifest is not None:
        yield "C2PA manifest", found.manifest.state.replace("_", " ")


def _kinds(source_types: tuple[str, ...]) -> list[str]:
    return [_MADE.get(kind.lower(), f"source type {kind}") for kind in source_types]


def _named(text: str) -> str | None:
    low = text.lower()
    return next((name for name in _NAMES if name in low), None)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."

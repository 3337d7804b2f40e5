"""What the header of a picture says, and the error for a picture that can't be used."""

from __future__ import annotations

from dataclasses import dataclass

from deepfake.base.errors import DeepfakeError


@dataclass(frozen=True)
class Header:
    """What a file's header says. Width and height are in pixels as stored, before EXIF rotation.

    Attributes:
        scale: number that divides each side while the file is decoded; above 1 only for huge JPEGs.
        more_frames: whether more frames or pages follow the first one. Only the first is decoded.
    """

    format: str
    width: int
    height: int
    mode: str
    jpeg_quality: int | None
    has_exif: bool
    scale: int = 1
    more_frames: bool = False

    @property
    def note(self) -> str:
        """In words, what the decoded pixels do not show of the file; empty if they show all of it."""
        words = []
        if self.more_frames:
            words.append(f"only the first {'page' if self.format == 'TIFF' else 'frame'} is judged")
        if self.scale > 1:
            size = f"1/{self.scale} of its {self.width} x {self.height} pixels"
            words.append(f"it is decoded at {size}, and boxes are in pixels of that")
        return "; ".join(words)


class ImageRejected(DeepfakeError):
    """A picture that can't be used.

    Attributes:
        reason: a stable code (`not_an_image`, `unsupported_format`, `too_many_bytes`,
            `too_many_pixels`, `too_small`, `corrupt`, `unreadable`).
        header: the picture's header, if it could be read.
    """

    def __init__(self, reason: str, detail: str, header: Header | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.header = header

"""Limits of the service: what is beyond them is refused with a status and a reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServiceLimits:
    """Limits of the service, beside those of the model on a picture's bytes, pixels and faces.

    Attributes:
        threads: pictures that are judged at the same time.
        queue: pictures that may wait for a thread.
        max_batch: pictures of one request.
        max_body: bytes of a request with several pictures, or of a clip.
        memory: bytes of all uploads that are held at the same time.
        max_requests: requests in work at the same time.
        per_client: of one client, which is an API key, or an address where there are no keys.
        max_pixels: of a picture; None leaves it to the model.
        seconds: that a request may take to arrive and to be judged.
        jobs: bytes of all stored jobs and their answers.
        clip_frames, clip_seconds: of a clip.
    """

    threads: int = 2
    queue: int = 64
    max_batch: int = 32
    max_body: int = 128 * 2**20
    memory: int = 512 * 2**20
    max_requests: int = 64
    per_client: int = 32
    max_pixels: int | None = None
    seconds: float = 60.0
    jobs: int = 2**30
    clip_frames: int = 3_600
    clip_seconds: float = 120.0

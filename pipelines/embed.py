"""Stage embed: data/faces -> data/embeddings (class tokens of the frozen tower for every view)."""

from pathlib import Path

from deepfake.base.parameters import Sections, load_params
from deepfake.base.stage import run_stage
from deepfake.embed.embed import embed
from deepfake.params.base import Base
from deepfake.params.embed import Embed
from deepfake.shards.executors import choose_executor


class Params(Sections):
    base: Base
    embed: Embed


def main() -> None:
    choose_executor()
    params, faces, out = load_params(Params), Path("data/faces"), Path("data/embeddings")
    embed(faces, out, params.embed, params.base.seed, params.base.threads, Path(".resume"))


if __name__ == "__main__":
    run_stage(main)

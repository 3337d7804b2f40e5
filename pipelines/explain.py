"""Stage explain: scores of all explanation methods and the best one; panels of best and worst, spectra."""

from pathlib import Path

from deepfake.base.parameters import Sections, load_params
from deepfake.base.runtime import configure
from deepfake.base.stage import run_stage
from deepfake.explain.explain import Judged, plot_best_and_worst, plot_mean_spectra, score_and_choose
from deepfake.params.base import Base
from deepfake.params.explain import Explain


class Params(Sections):
    base: Base
    explain: Explain


def main() -> None:
    params = load_params(Params)
    configure(params.base)
    out, references = Path("reports/explain"), Path("models/references.png")
    predictions = Path("reports/evaluate/predictions.parquet")
    judged = Judged.load(Path("models/detector"), Path("data/faces"), predictions)
    number, seed = params.explain.scored, params.base.seed
    detail = score_and_choose(judged, number, seed, references, out)
    plot_best_and_worst(judged, params.explain.panels, detail, out)
    plot_mean_spectra(judged, out)


if __name__ == "__main__":
    run_stage(main)

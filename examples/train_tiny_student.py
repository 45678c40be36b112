"""Train a tiny student for a few steps, export it, and remove haze with it.

python examples/train_tiny_student.py path/to/nyu runs/tiny

`kddn train` does the same from options, or from a recipe, which is a list of options.
"""

import sys
from pathlib import Path

import numpy as np

from kddn import Dehazer
from kddn.research.export import export
from kddn.research.training.run import train

TINY = {"width": 8, "groups": 1, "blocks": 1, "global_residual": True}
"""For weights worth having: "unet", or another preset."""

nyu, runs = Path(sys.argv[1]), Path(sys.argv[2])
options = {
    "data.root": nyu,
    "data.train_scenes": 2,
    "data.validation_scenes": 1,
    "data.validation_scales": [0.2],
    "data.epoch_length": 4,
    "data.batch": {"size": 2, "crop": 64, "scales": [0.2, 0.3]},
    "model.network": {"class_path": "kddn.research.nets.Student", "init_args": {"config": TINY}},
    "trainer.max_epochs": 1,
    "trainer.accelerator": "cpu",
    "trainer.log_every_n_steps": 1,
    "trainer.enable_progress_bar": False,
    "trainer.enable_model_summary": False,
    "trainer.default_root_dir": runs,
}
weights = train("student", [f"--{name}={value}" for name, value in options.items()])
model = runs / "tiny.onnx"
export(weights, model, working_size=96, summary="Four steps.", overwrite=True)
clear = Dehazer(model)(np.full((90, 120, 3), 200, np.uint8))
print(model, clear.shape)

"""How good models are on pairs of your own: a folder with hazy/ and clear/.

python examples/evaluate_folder.py PAIRS
"""

import sys
from pathlib import Path

from kddn.research.evaluation.evaluate import evaluate

pairs = {"pairs": Path(sys.argv[1])}
for row in evaluate(pairs, ["dcp", "kddn-indoor"], full_resolution=False).summaries:
    psnr, ssim = row.figures["psnr"], row.figures["ssim"]
    print(f"{row.system}: {psnr:.2f} dB, SSIM {ssim:.4f}, {row.images} images")

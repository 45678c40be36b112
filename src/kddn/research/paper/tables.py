"""What the paper's tables say: their rows, the recipes that make them, and its figures."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a table: a training run, and what the paper measured after it."""

    name: str
    """As the table has it."""
    recipe: str
    """The recipe that trains it."""
    psnr: float
    """The paper's, in dB, on SOTS-indoor."""
    ssim: float
    """The paper's."""

    @property
    def slug(self) -> str:
        """The name as a folder's."""
        return self.recipe.split("/")[-1]


TABLE1 = (
    Row(name="Baseline", recipe="table1/baseline", psnr=30.52, ssim=0.9613),
    Row(name="L1", recipe="table1/l1", psnr=31.23, ssim=0.9644),
    Row(name="L1 + Lds", recipe="table1/l1_ds", psnr=31.86, ssim=0.9749),
    Row(name="L1 + Lp", recipe="table1/l1_perceptual", psnr=31.69, ssim=0.9726),
    Row(name="L1 + Lrm", recipe="table1/l1_fmil", psnr=32.75, ssim=0.9772),
    Row(name="L1 + Lp + Lrm", recipe="table1/l1_perceptual_fmil", psnr=34.15, ssim=0.9838),
    Row(name="L1 + Lp + Lwrm", recipe="table1/l1_perceptual_wfmil", psnr=34.72, ssim=0.9845),
)
"""Table 1: what each loss adds."""

TABLE2 = (
    Row(name="random teacher", recipe="table2/random", psnr=27.52, ssim=0.9475),
    Row(name="no teacher", recipe="table2/none", psnr=31.23, ssim=0.9644),
    Row(name="mid teacher", recipe="table2/mid", psnr=31.82, ssim=0.9708),
    Row(name="high teacher", recipe="table2/high", psnr=32.75, ssim=0.9772),
)
"""Table 2: how good the teacher must be. The student learns by L1 and Lrm."""

TABLES = {"table1": TABLE1, "table2": TABLE2}

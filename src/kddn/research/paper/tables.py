"""What the paper's tables say: their rows, the recipes that make them, and its figures."""

from dataclasses import dataclass

PROTOCOL = "kddn"
"""The authors' own, which the paper's figures are taken to be by."""


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
    teacher: tuple[float, float] | None = None
    """For Table 2: PSNR and SSIM of what its teacher makes of clear pictures, in the paper."""

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
    Row(
        name="random teacher",
        recipe="table2/random",
        psnr=27.52,
        ssim=0.9475,
        teacher=(6.61, 0.033),
    ),
    Row(name="no teacher", recipe="table2/none", psnr=31.23, ssim=0.9644),
    Row(
        name="mid teacher",
        recipe="table2/mid",
        psnr=31.82,
        ssim=0.9708,
        teacher=(33.47, 0.9634),
    ),
    Row(
        name="high teacher",
        recipe="table2/high",
        psnr=32.75,
        ssim=0.9772,
        teacher=(43.04, 0.9902),
    ),
)
"""Table 2: how good the teacher must be. The student learns by L1 and Lrm."""

TABLES = {"table1": TABLE1, "table2": TABLE2}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One system of a table of systems."""

    name: str
    """What it is asked for and given weights by."""
    recipes: tuple[str, ...] = ()
    """The recipes that train it, each a change to the one before; none where only the paper's
    figure is known."""
    paper: dict[str, tuple[float, float]]
    """PSNR in dB and SSIM by data set, as the table has them."""


TABLE3 = tuple(
    Entry(
        name=name,
        recipes=(recipe,),
        paper={"sots-indoor": sots, "d-hazy-middlebury": middlebury},
    )
    for name, recipe, sots, middlebury in (
        ("aod-net", "compared/aod-net", (19.06, 0.8504), (13.40, 0.7979)),
        ("pdn", "compared/pdn", (17.33, 0.8164), (14.64, 0.8088)),
        ("gfn", "compared/gfn", (22.30, 0.8800), (13.27, 0.7514)),
        ("epdn", "compared/epdn", (25.06, 0.9232), (15.28, 0.8096)),
        ("grid-dehaze-net", "compared/grid-dehaze-net", (32.16, 0.9836), (14.21, 0.7783)),
        ("kddn", "table1/l1_perceptual_wfmil", (34.72, 0.9845), (17.27, 0.8676)),
    )
)
"""Table 3: KDDN beside others, on synthetic haze."""

TABLE4 = tuple(
    Entry(name=name, recipes=recipes, paper={"o-haze": figures})
    for name, recipes, figures in (
        ("BJTU", (), (24.598, 0.777)),
        ("KAIST-VICLAB", (), (24.232, 0.687)),
        ("Scarlet Knights", (), (24.029, 0.775)),
        ("FKS", (), (23.877, 0.775)),
        ("Dq-hisfriends", (), (23.207, 0.770)),
        ("gfn", ("compared/gfn", "ohaze/schedule"), (17.645, 0.612)),
        ("grid-dehaze-net", ("compared/grid-dehaze-net", "ohaze/schedule"), (21.913, 0.730)),
        ("kddn-fmil", ("ohaze/fmil",), (25.312, 0.775)),
        ("kddn-wfmil", ("ohaze/wfmil",), (25.455, 0.780)),
    )
)
"""Table 4: KDDN beside others, and NTIRE 2018's teams, on O-HAZE."""

TABLES_OF_SYSTEMS = {"table3": TABLE3, "table4": TABLE4}

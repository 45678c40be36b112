"""HazeRD (Zhang et al., ICIP 2017): outdoor photographs with depth, hazed by the authors' script.

The archive holds clean images and depth; its script writes the hazy ones, one for each visual range
of 50, 100, 200, 500 and 1000 metres.
"""

from kddn.research.data.sets.data_set import DataSet, Names

HAZE_RD = DataSet(
    name="haze-rd",
    summary="HazeRD's outdoor photographs under five visual ranges each",
    licence="for research",
    source="https://labsites.rochester.edu/gsharma/research/computer-vision/hazerd/",
    example="simu/IMG_8583_50.jpg, img/IMG_8583_RGB.jpg",
    hazy=Names("(data/)?(simu|hazy)", r"(?P<scene>.+?)(_RGB)?_(?P<haze>\d+)m?\.(jpg|png)"),
    clean=Names("(data/)?(img|gt|clear)", r"(?P<scene>.+?)(_RGB)?\.(jpg|png)"),
)
